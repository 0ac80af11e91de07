"""Who runs Postgres, which refuses root, where root starts the stack; what that user reaches."""

import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from stack.processes import StackError

_NOBODY = 65534
_COPIES = Path("/var/cache/kuji")


def user_for(folder: Path) -> int | None:
    """Who runs a program on *folder*: None: this process's own user; under root, its owner."""
    if os.geteuid() != 0:
        return None
    return folder.stat().st_uid or _NOBODY


def give_to_user(path: Path) -> None:
    """Make *path* the user's whom a program on it will run as."""
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, _NOBODY)


def within_reach(installation: Path, parts: Sequence[str], samples: Sequence[str]) -> Path:
    """
    *installation*, or a copy of it where others than root cannot reach it.

    A checkout may lie in root's own folder, or have been installed with a strict umask. No right to
    read everything is given for that: the program would have it too.

    Args:
        installation: A folder of programs and their files.
        parts: What of it is copied, each to its place beside the others, by which programs find
            their libraries; nothing in these folders is secret.
        samples: Files of it; it is within reach when others may read these.

    Raises:
        StackError: It cannot be copied.
    """
    if os.geteuid() != 0 or all(_is_open_to_others(installation / name) for name in samples):
        return installation
    try:
        return _copied(installation, parts, (installation / samples[0]).stat())
    except OSError as error:
        raise StackError(
            f"Postgres does not run as root, and another user cannot reach {installation} "
            f"(a copy in {_COPIES} failed: {error.strerror}): move Kuji to a folder that others "
            "may enter, like /opt, or start it as an ordinary user"
        ) from error


def _is_open_to_others(file: Path) -> bool:
    file = file.resolve()
    entered = all(folder.stat().st_mode & stat.S_IXOTH for folder in file.parents)
    return entered and bool(file.stat().st_mode & stat.S_IROTH)


def _copied(installation: Path, parts: Sequence[str], sample: os.stat_result) -> Path:
    identity = f"{installation.resolve()} {' '.join(parts)} {sample.st_size} {sample.st_mtime_ns}"
    place = _COPIES / hashlib.sha256(identity.encode()).hexdigest()[:16]
    if place.exists():
        return place
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        for part in parts:
            shutil.copytree(installation / part, fresh / part, symlinks=True, ignore=_headers)
        _open_to_others(fresh)
        _COPIES.chmod(0o755)
        fresh.rename(place)
    except OSError:
        if not place.exists():  # by another stack, meanwhile
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def _headers(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "include"]


def _open_to_others(root: Path) -> None:
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for path in (Path(folder, name) for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)

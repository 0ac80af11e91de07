"""KUJI_HOME: where a stack keeps its data, logs, secrets, and where it can be found."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stack.processes import StackError, command

# Each part gets its own secrets only.
SECRETS_OF_PART: Mapping[str, tuple[str, ...]] = {
    "auth": ("KUJI_TOKEN_KEY_SECRET", "KUJI_SERVICE_SECRET", "KUJI_ADMIN_PASSWORD"),
    "draw": ("KUJI_SEED_KEY", "KUJI_CODE_KEY", "KUJI_OTHER_CODE_KEY"),
    "admin": ("KUJI_SERVICE_SECRET",),
}
# What the passwords of the stores are derived from; the stack's own.
STORES_SECRET = "KUJI_STORES_SECRET"  # noqa: S105
SECRET_NAMES = frozenset(name for names in SECRETS_OF_PART.values() for name in names) | {
    STORES_SECRET
}
_OPTIONAL_SECRETS = {"KUJI_OTHER_CODE_KEY"}
_LATER_SECRETS = (STORES_SECRET, "KUJI_CODE_KEY")


class Home:
    """The folder of one stack; several stacks with different folders run side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.endpoints_file = self.folder / "endpoints.json"
        self.pids_file = self.folder / "pids.json"
        self.secrets_file = self.folder / "secrets.json"
        self._ports_file = self.folder / "ports.json"
        self._lock_file = self.folder / "stack.lock"

    def data(self, part: str) -> Path:
        """The data folder of *part*."""
        return self.folder / "data" / part

    def log(self, part: str) -> Path:
        """The log file of *part*."""
        return self.folder / "logs" / f"{part}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """
        Own this folder; the kernel lets go of it with the process, however that ends.

        Raises:
            StackError: Another stack owns it.
        """
        self._close_to_others()
        with self._lock_file.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = self._lock_file.read_text("utf-8").strip()
                raise StackError(
                    f"A stack runs in {self.folder} already (process {owner}); "
                    f"`{command('down')}` stops it, another KUJI_HOME runs a second one"
                ) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            self._forget_addresses()  # of a stack that was killed
            try:
                yield
            finally:
                self._forget_addresses()

    def _close_to_others(self) -> None:
        # A folder with other things in it may be anything, /srv say: only what is ours is closed.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_ours = self._lock_file.exists() or not any(self.folder.iterdir())
        if is_ours and self.folder.stat().st_uid == os.geteuid():
            self.folder.chmod(0o700)
        for known in ("data", "logs"):
            if (self.folder / known).exists():
                (self.folder / known).chmod(0o700)

    def _forget_addresses(self) -> None:
        self.endpoints_file.unlink(missing_ok=True)
        self.pids_file.unlink(missing_ok=True)

    def is_owned(self) -> bool:
        """Whether a stack runs here, or starts."""
        try:
            return self.owner() is not None
        except StackError:
            return True

    def owner(self) -> int | None:
        """
        The process id of the stack that runs here; None where none does.

        Raises:
            StackError: It starts at this very moment.
        """
        if not self._lock_file.exists():
            return None
        with self._lock_file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return _pid_of(lock.read())
        return None

    def ports(self) -> dict[str, int]:
        """The ports that the stack had, by name."""
        if not self._ports_file.exists():
            return {}
        kept: dict[str, int] = json.loads(self._ports_file.read_text("utf-8"))
        return kept

    def keep_ports(self, chosen: Mapping[str, int]) -> None:
        """Remember *chosen* for the next start, beside those of parts that do not run now."""
        write_json(self._ports_file, {**self.ports(), **chosen})

    def secrets(self) -> dict[str, str]:
        """
        The stack's secrets: made once, then the same for ever; the environment's go first.

        Raises:
            StackError: They are lost or incomplete, though there is data that needs them.
        """
        if not self.secrets_file.exists():
            if self.data("postgres").exists():
                raise StackError(
                    f"{self.secrets_file} is gone, and the data beside it cannot be read without; "
                    "restore the file, or remove the folder to start afresh"
                )
            write_json(self.secrets_file, fresh_secrets())
        stored: dict[str, str] = json.loads(self.secrets_file.read_text("utf-8"))
        # Made by an older Kuji; no data depends on these.
        if made := {name: secrets.token_hex(32) for name in _LATER_SECRETS if name not in stored}:
            stored |= made
            write_json(self.secrets_file, stored)
        found = stored | {name: os.environ[name] for name in SECRET_NAMES if os.environ.get(name)}
        for name in sorted(SECRET_NAMES - _OPTIONAL_SECRETS - found.keys()):
            raise StackError(f"The secret {name} is missing in {self.secrets_file}")
        return found


def _pid_of(text: str) -> int:
    if not text:
        raise StackError("A stack is starting at this very moment; try again")
    return int(text)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write *content* for the owner's eyes only; a reader sees all of it or nothing."""
    write_privately(file, json.dumps(content, indent=2) + "\n")


def write_privately(file: Path, content: str | bytes) -> None:
    """Write *content* for the owner's eyes only; a reader sees all of it or nothing."""
    write_whole(file, content, 0o600)


def write_whole(file: Path, content: str | bytes, mode: int) -> None:
    """Write *content* for those whom *mode* names; a reader sees all of it or nothing."""
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content.encode() if isinstance(content, str) else content)
    fresh.rename(file)


def fresh_secrets() -> dict[str, str]:
    """A value for each secret that has to be, made at random."""
    return {
        "KUJI_TOKEN_KEY_SECRET": secrets.token_hex(32),
        "KUJI_SEED_KEY": secrets.token_hex(32),
        "KUJI_CODE_KEY": secrets.token_hex(32),
        "KUJI_SERVICE_SECRET": secrets.token_hex(32),
        "KUJI_ADMIN_PASSWORD": secrets.token_urlsafe(12),
        STORES_SECRET: secrets.token_hex(32),
    }

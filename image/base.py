"""A base image of Debian's packages, for where no registry can be reached."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from image.tools import ImageError, run

# Not read by anything that runs in the image.
_LEFT_OUT = ("share/doc", "share/man", "share/info", "share/locale", "share/lintian", "lib/*/gconv")
_COMMAND = (
    "mmdebstrap",
    "--quiet",
    "--variant=essential",
    "--include=python3,python3-venv,libstdc++6,ca-certificates",
    # Else usrmerge comes, and with it all of Perl.
    "--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr",
    *(f"--dpkgopt=path-exclude=/usr/{path}/*" for path in _LEFT_OUT),
    # Where packages came from, and what was said meanwhile, is nobody's business later.
    '--customize-hook=rm -rf "$1"/etc/apt/sources.list* "$1"/var/log/* "$1"/var/cache/debconf',
    "bookworm",
)
_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")


def ensure_base() -> str:
    """
    The name of the base image; it is made where there is none, in about a minute.

    Raises:
        ImageError: It cannot be made.
    """
    name = f"localhost/kuji-base:{hashlib.sha256(repr(_COMMAND).encode()).hexdigest()[:12]}"
    if not run(["podman", "images", "--quiet", name]):
        _make(name)
    return name


def _make(name: str) -> None:
    if not _SOURCES.exists():
        raise ImageError(f"{_SOURCES} is not there, which says where Debian's packages are")
    with TemporaryDirectory(prefix="kuji-base-") as folder:
        packed = str(Path(folder, "base.tar"))
        run([*_COMMAND, packed, str(_SOURCES)])
        run(["podman", "import", "--quiet", packed, name])

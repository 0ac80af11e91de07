"""
A checkout that was moved or copied, .venv included: what names its old place names the new one.

Usage: relocate.py, in the checkout. It is run by any Python, without anything installed.
"""

import re
from pathlib import Path

VENV = Path(".venv")
HOME = re.compile(r"^\s*VIRTUAL_ENV=[\"']?(.+)/\.venv[\"']?$", re.MULTILINE)


def main() -> None:
    """Let .venv be at home here."""
    activate = VENV / "bin" / "activate"
    found = HOME.search(activate.read_text("utf-8")) if activate.exists() else None
    here = str(Path.cwd())
    if found is None or found[1] == here:
        return
    print(f"This folder was {found[1]} before: .venv is made at home here")  # noqa: T201
    for file in named_files():
        if not file.is_symlink() and file.is_file():
            relocate(file, f"{found[1]}/".encode(), f"{here}/".encode())


def named_files() -> list[Path]:
    """Files of .venv that may name its place."""
    editable = VENV.glob("lib/python3*/site-packages/__editable__*")
    return [*VENV.glob("bin/*"), VENV / "pyvenv.cfg", *editable]


def relocate(file: Path, old: bytes, new: bytes) -> None:
    """Replace *old* by *new* in *file*, unless it is a program."""
    content = file.read_bytes()
    if old not in content or b"\0" in content:
        return
    fresh = file.with_name(f"{file.name}.new")  # the old one may be shared with the other place
    fresh.write_bytes(content.replace(old, new))
    fresh.chmod(file.stat().st_mode)
    fresh.replace(file)


if __name__ == "__main__":
    main()

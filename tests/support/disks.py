"""Small disks, to be filled."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(size: int) -> Iterator[Path]:
    """A folder that is a disk of *size* bytes; the test is skipped where none can be mounted."""
    with tempfile.TemporaryDirectory(prefix="kuji-disk-") as name:
        options = ["-t", "tmpfs", "-o", f"size={size},mode=700", "kuji-test", name]
        mounted = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def fill(file: Path) -> None:
    """Take what there is left of the disk of *file*."""
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass

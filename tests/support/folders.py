"""Folders for what is thrown away after a test: in memory, where there is some."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 4 << 30  # for every test process at once, and most of it stays free


@contextmanager
def throwaway_folder(prefix: str) -> Iterator[Path]:
    """A fresh folder, removed with the block."""
    is_large = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=_MEMORY if is_large else None, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)

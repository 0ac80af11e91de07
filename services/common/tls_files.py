"""Where certificates are: what settings say of them."""

from pathlib import Path
from typing import NamedTuple


class TlsFiles(NamedTuple):
    """
    Where certificates are; all PEM.

    Args:
        cert: Of this process, with those in between, its own first.
        key: Of that.
        ca: Those whose certificates others show.
    """

    cert: Path
    key: Path
    ca: Path

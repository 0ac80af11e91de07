"""
Builds the image: python -m image [NAME]; `make image` lays out what goes into it before.

BASE in the environment names the base image; where it is empty, one is made of Debian's packages.
"""

import os
import sys

from image.base import ensure_base
from image.build import NAME, build, size_of
from image.tools import ImageError, why_not


def main() -> int:
    """Build it, and say how large it is."""
    name = sys.argv[1] if len(sys.argv) > 1 else NAME
    if reason := why_not():
        return _complain(reason)
    try:
        build(name, os.environ.get("BASE") or ensure_base())
        size = size_of(name)
    except ImageError as error:
        return _complain(str(error))
    print(f"{name}: {size / 1e6:.0f} MB unpacked")  # noqa: T201
    return 0


def _complain(sentence: str) -> int:
    print(f"kuji: {sentence}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())

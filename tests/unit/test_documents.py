"""Documents as they are read in an editor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def _prose(text: str) -> Iterator[str]:
    is_code = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code and not line.startswith("|"):
            yield line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_prose_wraps(document: Path) -> None:
    """No line has more than 120 columns; code and tables may."""
    long = [line for line in _prose(document.read_text()) if len(line) > 120]
    assert [] == [line for line in long if not line.startswith("`")]

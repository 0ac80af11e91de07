"""Documents as they are read in an editor."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ROOTS = ("services", "ops", "stack", "demo", "envoy", "protos", "tests", "k8s")
KINDS = "py|lua|sql|proto|md|yaml|json"


def _texts() -> Iterator[Path]:
    yield from DOCUMENTS
    for root in ROOTS:
        for path in (ROOT / root).rglob("*"):
            if (
                path.suffix in {".py", ".lua", ".sql", ".proto", ".yaml"}
                and "gen" not in path.parts
            ):
                yield path


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


def test_file_exists_when_a_text_names_it() -> None:
    """Documents, comments and docstrings name files by their paths from the root."""
    named = {
        (str(text.relative_to(ROOT)), path)
        for text in _texts()
        for path in re.findall(rf"\b(?:{'|'.join(ROOTS)})/[\w./]+\.(?:{KINDS})\b", text.read_text())
    }
    assert len(named) > 50
    assert [] == sorted(pair for pair in named if not (ROOT / pair[1]).exists())

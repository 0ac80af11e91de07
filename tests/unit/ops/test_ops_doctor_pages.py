"""Where `kuji doctor` sends its readers, there is something to read."""

import re
from pathlib import Path

import pytest

from stack.processes import ROOT

_NAMED = re.compile(r'(?:runbook\("|docs/(?:runbook|operations)\.md#)([a-z-]+)')
_ROOMS = ("ops/doctor", "ops/backup")
TEXTS = [file for room in _ROOMS for file in sorted((ROOT / room).glob("*.py"))]


def _anchors(page: str) -> set[str]:
    text = (ROOT / "docs" / page).read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_page_has_the_heading_when_the_doctor_names_it(file: Path) -> None:
    """Anchors are those of GitHub."""
    named = set(_NAMED.findall(file.read_text("utf-8")))
    assert set() == named - _anchors("runbook.md") - _anchors("operations.md")


def test_doctor_names_pages_at_all() -> None:
    """The test above looks at something."""
    named = {one for file in TEXTS for one in _NAMED.findall(file.read_text("utf-8"))}
    assert len(named) > 8

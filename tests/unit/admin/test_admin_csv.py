"""Cells of the CSV that spreadsheets open."""

import pytest

from services.admin.lottery.records import as_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_is_no_formula_when_it_looks_like_one(start: str) -> None:
    """An apostrophe before it makes a spreadsheet show it as it is."""
    assert f"'{start}1+1" == as_text(f"{start}1+1")


@pytest.mark.parametrize("text", ["", "Bear", "1-2", "a=b", "赏@", "'quoted"])
def test_text_stays_as_it_is_when_no_formula(text: str) -> None:
    """Such characters inside a text are harmless."""
    assert text == as_text(text)

"""The table of ledgers, and the engine here; the browser's: web/tests/ledger.test.ts."""

import json
from typing import Any

import pytest

from tests.support.ledger_cases import TABLE, found_in, written

_TABLE: dict[str, Any] = json.loads(TABLE.read_text("utf-8"))


def test_table_is_what_the_engine_makes() -> None:
    """Where the rule changes, so does the table: `python -m tests.support.ledger_cases`."""
    assert TABLE.read_text("utf-8") == written()


@pytest.mark.parametrize("case", _TABLE["cases"], ids=[case["name"] for case in _TABLE["cases"]])
def test_engine_finds_what_the_table_says(case: dict[str, Any]) -> None:
    """All draws of a true ledger; of another one the first that is wrong, and why."""
    lines = list(_TABLE["ledgers"][case["ledger"]])
    if "splice" in case:
        first, many, instead = case["splice"]
        lines[first : first + many] = instead
    expected = {key: case[key] for key in ("draws", "seq", "says", "unfit_line") if key in case}
    assert expected == found_in(lines)

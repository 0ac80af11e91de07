"""The browser's verifier on a ledger of some thousands of draws, which the engine here made."""

from pathlib import Path

from tests.support.ledger_cases import long_ledger
from tests.support.web_tools import run_tool


def test_browser_replays_what_the_engine_made(tmp_path: Path) -> None:
    """It follows; and one draw changed, one removed, two swapped are each found by their number."""
    file = tmp_path / "ledger.jsonl"
    file.write_text("\n".join(long_ledger(5000).lines()) + "\n", "utf-8")
    said = run_tool(
        *("vitest/vitest.mjs", "run", "--no-color", "tests/ledger.test.ts"),
        *("-t", "some thousands of draws"),
        KUJI_MADE_LEDGER=str(file),
    )
    assert "4 passed" in said, said

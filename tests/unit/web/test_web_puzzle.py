"""The table of puzzles that the browser's solver is held to, in web/tests/puzzle.test.ts."""

import json
from pathlib import Path

from kuji.puzzle import solve

CASES = json.loads(Path(__file__).with_name("puzzles.json").read_text("utf-8"))


def test_puzzles_of_the_table_are_solved_as_it_says() -> None:
    """The two solvers count up from 0, so that both find the same text."""
    assert {0, 14} <= {case["difficulty"] for case in CASES}
    found = [solve(case["ticket"], case["difficulty"]) for case in CASES]
    assert [case["solution"] for case in CASES] == found

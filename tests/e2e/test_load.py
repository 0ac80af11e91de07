"""Load tests: the command on a real stack, with a part killed in the middle."""

import re
import subprocess
import sys

from stack.processes import ROOT


def _load(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.load", *arguments, "--seconds", "5", "--players", "200"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_mixed_load_is_good_though_the_draw_process_is_killed() -> None:
    """The report says what was done, and every answer is in Postgres all the same."""
    ended = _load("mixed", "--users", "12", "--kill", "draw", "--processes", "2")
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert 1 == ended.stdout.count("✓ draw was killed in the middle")
    assert 1 == ended.stdout.count("✓ none lost, none doubled; the books balance")
    assert "✓ the generator used" in ended.stdout


def test_storm_on_what_is_sold_out_is_good() -> None:
    """Few draw; who is told that nothing is left has no draw."""
    ended = _load("sold-out", "--users", "4")
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert re.search("✓ answers compared with Postgres: .* sold out", ended.stdout)

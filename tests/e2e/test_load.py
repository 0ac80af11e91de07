"""Load tests: the command on a real stack, with a part killed in the middle."""

import subprocess
import sys

from stack.processes import ROOT


def test_mixed_load_is_good_though_the_draw_process_is_killed() -> None:
    """The report says what was done, and every answer is in Postgres all the same."""
    command = [
        sys.executable,
        "-m",
        "tests.load",
        "mixed",
        "--seconds",
        "5",
        "--users",
        "12",
    ]
    ended = subprocess.run(
        [*command, "--players", "200", "--kill", "draw", "--processes", "2"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    assert 1 == ended.stdout.count("✓ draw was killed in the middle")
    assert 1 == ended.stdout.count("✓ none lost, none doubled; the books balance")
    assert "✓ the generator used" in ended.stdout

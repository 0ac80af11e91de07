"""What the tests fork in place of starting it is what it would be."""

import os
import sys
from pathlib import Path

from stack.processes import Child, Program

_START_S = 120


def test_program_is_an_ordinary_child_when_it_is_forked(tmp_path: Path) -> None:
    """In a group of its own, with the log and the environment that it was given."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("KUJI_")}
    command = [sys.executable, "-m", "services.recorder"]
    given = {**others, "KUJI_REDIS_URL": "redis://127.0.0.1:1"}
    child = Child(Program("recorder", command, tmp_path / "log", given))
    stat = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    assert [os.getpid(), child.pid] == [int(field) for field in stat[1:3]]
    child.finish(_START_S)
    assert 2 == child.exit_code()
    lines = ["kuji: KUJI_LISTEN is not set", "kuji: KUJI_POSTGRES_DSN is not set"]
    assert lines == (tmp_path / "log").read_text().splitlines()

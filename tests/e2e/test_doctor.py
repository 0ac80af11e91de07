"""kuji doctor and a whole stack: silent while all is well, and what it says when a part is not."""

import json
import os
import signal

from tests.support.command import Ran, run_kuji
from tests.support.stacks import StackUnderTest


async def _examine(stack: StackUnderTest, *options: str) -> Ran:
    return await run_kuji("doctor", *options, KUJI_HOME=str(stack.home))


async def test_doctor_finds_nothing_in_a_stack_that_is_well(stack: StackUnderTest) -> None:
    """Each check that there can be has looked, and none has anything to say."""
    ran = await _examine(stack, "--json")
    told = json.loads(ran.out)
    assert [] == [one for one in told["checks"] if one["grade"] != "ok"]
    assert (0, "ok") == (ran.code, told["grade"])
    # All but certificates, which this stack has none of.
    assert len(told["checks"]) == 34


async def test_doctor_names_the_part_that_is_frozen_and_shows_no_secret(
    stack: StackUnderTest,
) -> None:
    """Services, edge and stores alike; each is a finding with a next step."""
    secrets = json.loads((stack.home / "secrets.json").read_text())
    for part, sentence in {
        "history": "history is frozen",
        "recorder": "recorder is frozen",
        "envoy": "envoy is frozen",
        "valkey": "Redis does not answer",
        "postgres": "Postgres does not answer",
    }.items():
        os.kill(stack.pids()[part], signal.SIGSTOP)
        try:
            ran = await _examine(stack)
        finally:
            os.kill(stack.pids()[part], signal.SIGCONT)
        assert (2, True) == (ran.code, sentence in ran.out), ran.out
        assert "Next: " in ran.out
        assert "Traceback" not in ran.err
        assert [] == [name for name, secret in secrets.items() if secret in ran.out + ran.err]

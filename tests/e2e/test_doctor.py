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


async def test_doctor_names_the_parts_that_are_frozen_and_shows_no_secret(
    stack: StackUnderTest,
) -> None:
    """Services, edge and stores alike; each is a finding with a next step."""
    secrets = json.loads((stack.home / "secrets.json").read_text())
    for sentences in (
        {"history": "history is frozen", "recorder": "recorder is frozen", "envoy": "does not"},
        {"valkey": "Redis does not answer", "postgres": "Postgres does not answer"},
    ):
        frozen = [stack.pids()[part] for part in sentences]
        try:
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            ran = await _examine(stack)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert [] == [one for one in sentences.values() if one not in ran.out], ran.out
        assert (2, True, False) == (ran.code, "Next: " in ran.out, "Traceback" in ran.err)
        assert [] == [name for name, secret in secrets.items() if secret in ran.out + ran.err]

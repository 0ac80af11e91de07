"""Strangers at the doors of a running stack: no other caller notices, and memory stays flat."""

from collections.abc import AsyncIterator

import pytest

from tests.hostile.attacks import ATTACKS, Attack
from tests.hostile.honest import honest_client
from tests.hostile.target import Target, open_target
from tests.support.stacks import StackUnderTest

_HONEST_CALLS = 3
_GROWTH_BYTES = 16 << 20


@pytest.fixture(name="target", scope="module")
async def _target(hostile_stack: StackUnderTest) -> AsyncIterator[Target]:
    """One for all attacks: none of them changes what is open there."""
    async with open_target(hostile_stack) as target:
        yield target


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_honest_client_is_answered_whatever_strangers_do(
    target: Target, attack: Attack
) -> None:
    """
    Each of its calls, before, during and after; strangers are told true reasons.

    Done once, an attack may leave caches warm and pools wide; done again, it adds nothing.
    """
    async with honest_client(target) as honest:
        await honest.goes_through("1 before", _HONEST_CALLS)
        honest.enter("2 during")
        told = await attack(target)
        memory = target.memory()
        told += await attack(target)
        await honest.goes_through("3 after", _HONEST_CALLS)
    print(f"{attack.__name__}: {honest.sentence()}; strangers: {dict(told)}")
    assert [] == honest.refused
    assert "INTERNAL" not in told
    assert [] == [what for what in told if what.startswith("bare")]
    after = target.memory()
    assert memory.keys() == after.keys()
    assert {} == {
        name: size - memory[name]
        for name, size in after.items()
        if size - memory[name] > _GROWTH_BYTES
    }

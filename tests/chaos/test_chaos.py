"""The short form of the chaos test; `make chaos` runs the long one."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos.driver import Audience, Plan, chaos_stack, drive
from tests.chaos.faults import SHORT
from tests.support.stacks import StackUnderTest, stack_home

_PAUSE_S = 0.25  # the faults are what is tried; the long form brings the load
_SCARCE_UNITS = 100  # soon sold out, at that


@pytest.fixture
def stack() -> Iterator[StackUnderTest]:
    """A stack that is this test's alone."""
    with stack_home() as home, chaos_stack(home) as stack:
        yield stack


def test_stack_goes_through_faults_with_no_hand(stack: StackUnderTest) -> None:
    """X1, X2, X7, L3: lost 0, doubled 0, oversold 0, INTERNAL 0, hands needed 0."""
    verdict = asyncio.run(drive(stack, Plan(SHORT, _SCARCE_UNITS, pause_s=_PAUSE_S), Audience()))
    assert [] == verdict.sentences()
    assert verdict.draws > 0
    assert verdict.orders > 0

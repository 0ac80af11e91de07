"""One stack for all that strangers try, which says of itself what it was never meant to say."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.hostile.target import Target, open_target
from tests.support.draw_service import plain_world
from tests.support.stacks import StackUnderTest, stack_home

__all__ = ["plain_world"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share one process, and so one stack."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("strangers"))


@pytest.fixture(scope="session")
def hostile_stack() -> Iterator[StackUnderTest]:
    """The real thing; a reason that an RPC does not state is INTERNAL there."""
    with stack_home() as home:
        stack = StackUnderTest(home, {"KUJI_STRICT_CONTRACT": "true"})
        with stack.running():
            yield stack


@pytest.fixture
async def target(hostile_stack: StackUnderTest) -> AsyncIterator[Target]:
    """The stack, with an activity and boxes of the test's own."""
    async with open_target(hostile_stack) as target:
        yield target

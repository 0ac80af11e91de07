"""One stack for all that strangers try, which says of itself what it was never meant to say."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.hostile.target import Target, open_target
from tests.support.stacks import StackUnderTest, stack_home


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

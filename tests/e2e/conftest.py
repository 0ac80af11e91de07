"""A whole stack for the tests of this folder, started once a test process."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.support.stacks import StackUnderTest, stack_home


@pytest.fixture(scope="session")
def stack() -> Iterator[StackUnderTest]:
    """The real thing: Valkey, Postgres, all services and Envoy; healthy."""
    with stack_home() as home:
        stack = StackUnderTest(home)
        with stack.running():
            yield stack


@pytest.fixture
async def http(stack: StackUnderTest) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the edge."""
    async with httpx.AsyncClient(base_url=stack.edge, timeout=20) as client:
        yield client

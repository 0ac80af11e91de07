"""A stack that some tests of this folder look at, and others hurt."""

from collections.abc import Iterator

import pytest

from tests.support.stacks import StackUnderTest, stack_home

# In this order, which is that of their names: the second stops it in the end.
_SHARE = ("test_stack_doors.py", "test_stack_lifecycle.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those who share it share a process."""
    for item in items:
        if item.path.name in _SHARE:
            item.add_marker(pytest.mark.xdist_group("hurt stack"))


@pytest.fixture(scope="session")
def stack() -> Iterator[StackUnderTest]:
    """A running stack, started by `up`."""
    with stack_home() as home:
        stack = StackUnderTest(home)
        up = stack.command("up")
        assert 0 == up.returncode, up.stdout
        try:
            yield stack
        finally:
            stack.command("down")

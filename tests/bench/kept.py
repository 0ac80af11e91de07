"""What takes long to start and may be used by several measures, one after the other."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """
    Things that are used again instead of made anew, where figures do not matter.

    Args:
        make: A fresh one, gone at the end of its context.
        exits: Where those that are kept end; None: nothing is kept, everybody gets a fresh one.
    """

    def __init__(
        self,
        make: Callable[[], AbstractAsyncContextManager[Thing]],
        exits: AsyncExitStack | None,
    ) -> None:
        self._make = make
        self._exits = exits
        self._all: list[Thing] = []
        self._unused: list[Thing] = []

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Thing]:
        """One that nobody else uses meanwhile."""
        if self._exits is None:
            async with self._make() as thing:
                yield thing
            return
        thing = self._unused.pop() if self._unused else await self._open(self._exits)
        yield thing
        self._unused.append(thing)

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[Thing]:
        """One that others may have besides."""
        if self._exits is None:
            async with self._make() as thing:
                yield thing
            return
        yield self._all[0] if self._all else await self._open(self._exits)

    async def _open(self, exits: AsyncExitStack) -> Thing:
        thing = await exits.enter_async_context(self._make())
        self._all.append(thing)
        return thing

"""Many doing the same, a bounded number of them at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")
_AT_ONCE = 16


async def for_each(
    things: Iterable[Thing], work: Callable[[Thing], Awaitable[Answer]]
) -> list[Answer]:
    """What *work* gives for each of *things*, in their order."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(thing: Thing) -> Answer:
        async with gate:
            return await work(thing)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(thing)) for thing in things]
    return [task.result() for task in tasks]

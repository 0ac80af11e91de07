"""Draws that come one after the other, answered as they complete."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from services.common.errors import KujiError
from services.draw.lottery.batch_drawer import BatchDrawer, Outcome
from services.draw.lottery.requests import Element


@dataclass(slots=True)
class _Answers:
    """
    What is drawn and not taken yet.

    Args:
        done: (index, outcome) of an element; a KujiError: the elements ended with it; None: they
            ended.
        slots: One an element that is not answered, so that neither queue grows without bound.
    """

    slots: asyncio.Semaphore
    done: asyncio.Queue[tuple[int, Outcome] | KujiError | None] = field(
        default_factory=asyncio.Queue
    )


async def draw_each(
    drawer: BatchDrawer,
    wanted: AsyncIterator[Element],
    remaining_s: float,
    max_unanswered: int,
) -> AsyncGenerator[tuple[int, Outcome], None]:
    """
    Draw once for each of *wanted*; yields (index, its own result or error) as they complete.

    Args:
        drawer: Draws.
        wanted: Read no further than *max_unanswered* elements ahead of the answers taken.
        remaining_s: Bound of one draw.
        max_unanswered: Elements in hand.

    Raises:
        KujiError: *wanted* ended with it; the elements before it are answered first.
    """
    answers = _Answers(asyncio.Semaphore(max_unanswered))
    reading = asyncio.create_task(_draw_all(drawer, wanted, remaining_s, answers))
    reading.add_done_callback(lambda _: answers.done.put_nowait(None))
    # No TaskGroup around a yield: who leaves early would end it from another task.
    try:
        while (answer := await answers.done.get()) is not None:
            if isinstance(answer, KujiError):
                raise answer
            yield answer
            answers.slots.release()
        await reading
    finally:
        reading.cancel()
        await asyncio.wait([reading])


async def _draw_all(
    drawer: BatchDrawer,
    wanted: AsyncIterator[Element],
    remaining_s: float,
    answers: _Answers,
) -> None:
    async def draw(index: int, one: Element) -> None:
        (outcome,) = await drawer.draw_many([one], remaining_s)
        answers.done.put_nowait((index, outcome))

    ended_with, index = None, 0
    async with asyncio.TaskGroup() as draws:
        try:
            async for one in wanted:
                await answers.slots.acquire()
                draws.create_task(draw(index, one))
                index += 1
        except KujiError as error:
            ended_with = error
    if ended_with is not None:
        answers.done.put_nowait(ended_with)

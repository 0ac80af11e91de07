"""Loops without end, told to end at a bad moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from services.common.tasks import end_if_cancelled, pause
from services.draw.blindbox.sweeper import Sweeper
from services.draw.guard import MemoryGuard
from services.draw.proof.prover import Prover
from services.history.lottery.feed import WinnerFeed
from services.pool.books.watch import BooksWatch
from services.recorder.lag import LagGauges

NOTHING: Any = None
Loop = Callable[[], Awaitable[object]]


class Deaf:
    """Work that keeps a cancellation to itself, as asyncio.wait_for of Python 3.11 may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        """Begin, and end when cancelled, as if it had completed just then."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


def _guard(work: Deaf) -> Loop:
    guard = MemoryGuard(NOTHING, 0)
    guard.look = work  # type: ignore[method-assign]
    return lambda: guard.look_while_running(0.01)


def _prover(work: Deaf) -> Loop:
    prover = Prover(NOTHING, NOTHING, NOTHING)
    prover.reveal_ended = work  # type: ignore[method-assign,assignment]
    return lambda: prover.reveal_while_running(0.01)


def _books(work: Deaf) -> Loop:
    watch = BooksWatch(NOTHING)
    watch.look = work  # type: ignore[method-assign]
    return lambda: watch.look_while_running(0.01)


def _sweeper(work: Deaf) -> Loop:
    sweeper = Sweeper(NOTHING, NOTHING, 1)
    sweeper.sweep = work  # type: ignore[method-assign]
    return lambda: sweeper.sweep_while_running(0.01)


def _feed(work: Deaf) -> Loop:
    feed = WinnerFeed(NOTHING, poll_s=0.01)
    feed._deliver = work  # type: ignore[method-assign]
    return feed.run


def _lag(work: Deaf) -> Loop:
    gauges = LagGauges(NOTHING, NOTHING)
    gauges.measure = work  # type: ignore[method-assign,assignment]
    return lambda: gauges.run({})


@pytest.mark.parametrize("make", [_guard, _prover, _books, _sweeper, _feed, _lag])
async def test_loop_ends_when_its_work_swallows_the_cancellation(
    make: Callable[[Deaf], Loop],
) -> None:
    """A service that stops never waits for a loop that did not hear it."""
    work = Deaf()
    task = asyncio.ensure_future(make(work)())
    await work.begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert {task} == done
    assert task.cancelled()


async def test_pause_only_sleeps_when_nobody_cancelled() -> None:
    """A loop that is not told to end goes on; so does one whose timeout has passed."""
    end_if_cancelled()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    await pause(0)

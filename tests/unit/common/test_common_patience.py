"""Bounds around the work of calls: they end what is late, and cost no timer each."""

import asyncio

import pytest

from services.common.server.patience import TimeBound, TimeBounds


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that counts the timers which are to fire."""

    def timers(self) -> int:
        """Those that nobody cancelled."""
        return sum(not handle.cancelled() for handle in self._scheduled)  # type: ignore[attr-defined]


async def wait_within(bounds: TimeBounds, seconds: float | None, done: asyncio.Event) -> None:
    """Work that waits for *done*."""
    async with TimeBound(bounds, seconds, lambda: None):
        await done.wait()


def test_bounds_share_timers_when_calls_end_together() -> None:
    """A thousand calls with one deadline take a few timers, and leave none when they are done."""

    async def work() -> tuple[int, int]:
        bounds, done, loop = TimeBounds(), asyncio.Event(), asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(1000):
                tasks.create_task(wait_within(bounds, 3_000_000.0, done))
            await asyncio.sleep(0)
            begun = loop.timers()
            done.set()
        return begun, loop.timers()

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        begun, left = runner.run(work())
    assert begun < 500
    assert left == 0


async def test_bound_ends_the_work_when_it_is_late() -> None:
    """What takes longer is a TimeoutError, and who waits beside it goes on."""
    bounds, done = TimeBounds(), asyncio.Event()
    other = asyncio.ensure_future(wait_within(bounds, 60.0, done))
    with pytest.raises(TimeoutError):
        await wait_within(bounds, 0.0, done)
    done.set()
    await other


async def test_bound_tells_that_work_is_late_when_it_does_not_end() -> None:
    """Work that swallows its cancellation is told of all the same."""
    bounds, told = TimeBounds(), asyncio.Event()
    async with TimeBound(bounds, 0.0, told.set):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await told.wait()


async def test_cancellation_goes_on_when_it_comes_from_elsewhere() -> None:
    """A bound that is not reached makes no TimeoutError of a caller's leaving."""
    work = asyncio.ensure_future(wait_within(TimeBounds(), 60.0, asyncio.Event()))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


@pytest.mark.parametrize("seconds", [None, 3_000_000.0])
async def test_closing_brings_bounds_forward_when_they_are_in_force(seconds: float | None) -> None:
    """As the process ends, work begun before and after that is bounded by its end."""
    bounds, never = TimeBounds(), asyncio.Event()
    before = asyncio.ensure_future(wait_within(bounds, seconds, never))
    await asyncio.sleep(0)
    bounds.close_at(asyncio.get_running_loop().time())
    with pytest.raises(TimeoutError):
        await before
    with pytest.raises(TimeoutError):
        await wait_within(bounds, seconds, never)


async def test_closing_leaves_a_bound_that_ends_before() -> None:
    """A call's own bound holds where it is the earlier one."""
    bounds, never = TimeBounds(), asyncio.Event()
    work = asyncio.ensure_future(wait_within(bounds, 0.0, never))
    await asyncio.sleep(0)
    bounds.close_at(asyncio.get_running_loop().time() + 3_000_000.0)
    with pytest.raises(TimeoutError):
        await work

"""The tail of the winner list and its subscribers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from services.common.errors import OverloadedError
from services.history.lottery.feed import WinnerFeed
from services.history.lottery.winners import Winner


def winner(win_no: int, activity_id: int = 1) -> Winner:
    """Winner number *win_no*."""
    return Winner(win_no, 1, win_no, activity_id, "a***e", 5, "A mug", datetime.now(UTC))


class Winners:
    """A winner list in memory; counts how often it is read."""

    def __init__(self) -> None:
        self.rows: list[Winner] = []
        self.reads = 0

    def add(self, *winners: Winner) -> None:
        """Record winners."""
        self.rows.extend(winners)

    async def newest_win_no(self) -> int:
        """See WinnerSource."""
        return self.rows[-1].win_no if self.rows else 0

    async def winners_after(self, win_no: int, count: int) -> Sequence[Winner]:
        """See WinnerSource."""
        self.reads += 1
        return self.rows[win_no : win_no + count]


@asynccontextmanager
async def running(source: Winners, capacity: int = 1000) -> AsyncIterator[WinnerFeed]:
    """A feed that looks only when nudged, or never by itself within a test."""
    feed = WinnerFeed(source, poll_s=3600, capacity=capacity)
    task = asyncio.create_task(feed.run())
    yield feed
    task.cancel()
    await asyncio.wait([task])


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def collect(feed: WinnerFeed, activity_id: int, into: list[int]) -> None:
    """Subscribe, and note the numbers that come."""
    async for one in feed.subscribe(activity_id):
        if one is not None:
            into.append(one.win_no)  # noqa: PERF401  # seen by the test while it grows


async def test_every_subscriber_gets_each_new_winner_from_one_read() -> None:
    """Old winners are not told; new ones reach all, in order, and are read once."""
    source = Winners()
    source.add(winner(1))
    async with running(source) as feed:
        told: list[list[int]] = [[] for _ in range(50)]
        tasks = [asyncio.create_task(collect(feed, 0, into)) for into in told]
        await settle()
        source.add(winner(2), winner(3))
        feed.nudge()
        await settle()
        assert [[2, 3]] * 50 == told
        assert 1 == source.reads
        feed.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 5)


async def test_subscriber_gets_the_winners_of_its_activity_alone() -> None:
    """The filter holds."""
    source = Winners()
    async with running(source) as feed:
        told: list[int] = []
        task = asyncio.create_task(collect(feed, 7, told))
        await settle()
        source.add(winner(1, 7), winner(2, 8), winner(3, 7))
        feed.nudge()
        await settle()
        feed.close()
        await asyncio.wait_for(task, 5)
        assert [1, 3] == told


async def test_slow_subscriber_is_dropped_with_an_error_and_the_others_go_on() -> None:
    """Nobody's slowness costs memory, or another's winners."""
    source = Winners()
    async with running(source, capacity=3) as feed:
        slow = feed.subscribe(0)
        assert await anext(slow) is None
        first = asyncio.create_task(anext(slow))
        told: list[int] = []
        task = asyncio.create_task(collect(feed, 0, told))
        await settle()
        for win_no in range(1, 8):
            source.add(winner(win_no))
            feed.nudge()
            await settle()
        heard = await first
        assert heard is not None
        assert 1 == heard.win_no
        with pytest.raises(OverloadedError):
            await anext(slow)
        feed.close()
        await asyncio.wait_for(task, 5)
        assert list(range(1, 8)) == told


async def test_nothing_is_read_while_nobody_listens() -> None:
    """A feed without subscribers leaves Postgres alone."""
    source = Winners()
    async with running(source) as feed:
        feed.nudge()
        await settle()
        assert 0 == source.reads


async def test_subscription_ends_at_once_when_the_feed_is_closed() -> None:
    """At shutdown, and after it, streams end without an error."""
    feed = WinnerFeed(Winners())
    feed.close()
    assert [None] == [one async for one in feed.subscribe(0)]


async def test_tail_looks_by_itself_when_nudges_are_lost() -> None:
    """Without Redis, winners come at the pace of the polling."""
    source = Winners()
    feed = WinnerFeed(source, poll_s=0.001)
    task = asyncio.create_task(feed.run())
    stream = feed.subscribe(0)
    assert await anext(stream) is None
    first = asyncio.create_task(anext(stream))
    await settle()
    source.add(winner(1))
    told = await asyncio.wait_for(first, 10)
    assert told is not None
    assert 1 == told.win_no
    await stream.aclose()
    task.cancel()
    await asyncio.wait([task])

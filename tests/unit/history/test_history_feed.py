"""The tail of the winner list and its listeners."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from services.common.errors import OverloadedError, RateLimitedError
from services.history.lottery.feed import News, WinnerFeed
from services.history.lottery.seats import Seats
from services.history.lottery.win_log import WinLog
from services.history.lottery.winners import Winner
from services.history.settings import HistorySettings

HERE = "192.0.2.1"


def winner(win_no: int, activity_id: int = 1) -> Winner:
    """Winner number *win_no*."""
    return Winner(win_no, 1, win_no, activity_id, "a***e", 5, "A mug", datetime.now(UTC))


class Winners:
    """A winner list in memory; counts how often it is read, and how often one is encoded."""

    def __init__(self, count: int = 0) -> None:
        self.rows = [winner(n + 1) for n in range(count)]
        self.reads = 0
        self.encoded: list[int] = []

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

    def encode(self, one: Winner) -> bytes:
        """Its event."""
        self.encoded.append(one.win_no)
        return b"%d " % one.win_no


def feed_of(source: Winners, **changes: Any) -> WinnerFeed:
    """A feed that looks only when nudged, or never by itself within a test."""
    told = {"poll_s": 3600.0, "stream_kept": 1000, "stream_listeners": 100, **changes}
    settings = HistorySettings(
        listen="", postgres_dsn="postgresql://x", redis_url="redis://x", auth_address="", **told
    )
    seats = Seats(settings.stream_listeners, settings.stream_listeners_of_address)
    return WinnerFeed(source, WinLog(settings.stream_kept, source.encode), seats, settings)


@asynccontextmanager
async def running(source: Winners, **changes: Any) -> AsyncIterator[WinnerFeed]:
    """A feed that delivers."""
    feed = feed_of(source, **changes)
    task = asyncio.create_task(feed.run())
    yield feed
    await feed.aclose()
    task.cancel()
    await asyncio.wait([task])


def numbers(news: News) -> list[int]:
    """Those of its winners."""
    return [win.win_no for win in news.wins]


async def opened(
    feed: WinnerFeed, activity_id: int = 0, after: int | None = None, address: str = HERE
) -> tuple[AsyncGenerator[News, None], News]:
    """A listener, and the first that it is told."""
    stream = feed.listen(activity_id, after, address)
    return stream, await anext(stream)


async def hear(stream: AsyncGenerator[News, None], until: int) -> list[int]:
    """The numbers that come, up to *until*."""
    heard: list[int] = []
    async with asyncio.timeout(10):
        while until not in heard:
            heard += numbers(await anext(stream))
    return heard


async def test_every_listener_gets_each_new_winner_from_one_read_and_one_encoding() -> None:
    """Old winners are not told; new ones reach all, in order, and are made into bytes once."""
    source = Winners(1)
    async with running(source) as feed:
        streams = [(await opened(feed))[0] for _ in range(60)]
        source.add(winner(2), winner(3))
        before = source.reads
        feed.nudge()
        news = await asyncio.wait_for(asyncio.gather(*map(anext, streams)), 10)
        assert [[2, 3]] * 60 == list(map(numbers, news))
        assert [b"2 3 "] * 60 == [b"".join(win.event for win in one.wins) for one in news]
        assert [2, 3] == source.encoded
        assert source.reads - before <= 2  # one that found them, one that found no more


async def test_listener_gets_the_winners_of_its_activity_alone() -> None:
    """The filter holds, also for what was missed."""
    source = Winners()
    async with running(source) as feed:
        stream, _ = await opened(feed, 7)
        source.add(winner(1, 7), winner(2, 8), winner(3, 7))
        feed.nudge()
        assert [1, 3] == await hear(stream, 3)
        late, _ = await opened(feed, 7, after=1)
        assert [3] == await hear(late, 3)


@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh process", "others listen"])
async def test_listener_that_comes_back_gets_what_it_missed(is_fresh: bool) -> None:
    """In order, once, and then what is new."""
    source = Winners(700)
    async with running(source) as feed:
        other = None if is_fresh else await opened(feed)
        stream, first = await opened(feed, after=100)
        assert (False, 100) == (first.missed, first.place)
        source.add(winner(701))
        feed.nudge()
        assert list(range(101, 702)) == await hear(stream, 701)
        del other


@pytest.mark.parametrize(
    ("after", "first_heard"),
    [(3, 11), (9, 11), (10, 11), (21, 21), (-1, 21)],
    ids=["long ago", "just forgotten", "the oldest kept", "not there yet", "none of ours"],
)
async def test_listener_is_told_when_it_cannot_get_all_that_it_missed(
    after: int, first_heard: int
) -> None:
    """What is kept is bounded: beyond it the listener hears so, and gets the rest."""
    source = Winners(20)
    async with running(source, stream_kept=10) as feed:
        stream, first = await opened(feed, after=after)
        assert (after != 10) == first.missed
        source.add(winner(21))
        feed.nudge()
        assert list(range(first_heard, 22)) == await hear(stream, 21)


async def test_slow_listener_skips_and_is_told_and_the_others_go_on() -> None:
    """Nobody's slowness costs memory, or another's winners."""
    source = Winners()
    async with running(source, stream_kept=8) as feed:
        slow, _ = await opened(feed)
        quick, _ = await opened(feed)
        for win_no in range(1, 101):
            source.add(winner(win_no))
            feed.nudge()
            assert [win_no] == await hear(quick, win_no)
        assert (await anext(slow)).missed
        heard = await hear(slow, 100)
        assert list(range(heard[0], 101)) == heard
        assert 8 <= len(heard) <= 9


async def test_silence_is_broken_by_a_heartbeat() -> None:
    """However quiet it is; also where others' winners come all the time."""
    source = Winners()
    async with running(source, stream_heartbeat_s=0.05) as feed:
        stream, _ = await opened(feed, 7)
        async with asyncio.timeout(10):
            assert [[], []] == [numbers(await anext(stream)) for _ in range(2)]
            beat = asyncio.ensure_future(anext(stream))
            while not beat.done():
                source.add(winner(len(source.rows) + 1, 8))
                feed.nudge()
                await asyncio.sleep(0.005)
        assert [] == numbers(await beat)


async def test_places_are_bounded_in_all_and_of_an_address() -> None:
    """The surplus is refused with a reason and a hint; a place that is left is free again."""
    async with running(Winners(), stream_listeners=5, stream_listeners_of_address=3) as feed:
        streams = [(await opened(feed))[0] for _ in range(3)]
        with pytest.raises(RateLimitedError) as of_address:
            await opened(feed)
        streams += [(await opened(feed, address="2001:db8::1"))[0] for _ in range(2)]
        for address in ("2001:db8::2", "198.51.100.7"):
            with pytest.raises(OverloadedError) as in_all:
                await opened(feed, address=address)
        assert {"10000"} == {e.value.metadata["retry_after_ms"] for e in (of_address, in_all)}
        await streams[0].aclose()
        await opened(feed)


async def test_postgres_that_was_put_back_is_followed() -> None:
    """Numbers given anew are told, to those who listen and to those who come back."""
    source = Winners(20)
    async with running(source, poll_s=0.01) as feed:
        stream, _ = await opened(feed)
        del source.rows[10:]
        async with asyncio.timeout(10):
            assert (await anext(stream)).missed
        source.add(winner(11))
        assert [11] == await hear(stream, 11)


async def test_nothing_is_read_while_nobody_listens() -> None:
    """A feed without listeners leaves Postgres alone."""
    source = Winners(5)
    async with running(source) as feed:
        feed.nudge()
        await asyncio.sleep(0.01)
        assert 0 == source.reads


async def test_subscription_ends_at_once_when_the_feed_is_closed() -> None:
    """At shutdown, and after it, streams end without an error."""
    source = Winners()
    async with running(source) as feed:
        stream, _ = await opened(feed)
        rest = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        feed.close()
        await asyncio.wait_for(rest, 10)
        assert [] == [one async for one in stream]
        late, _ = await opened(feed)
        assert [] == [one async for one in late]


async def test_nothing_is_looked_for_while_nobody_listens() -> None:
    """And whoever comes then gets what no nudge told of, too."""
    source = Winners(1)
    async with running(source, poll_s=0.001) as feed:
        feed.nudge()
        for _ in range(5):
            await asyncio.sleep(0)
        assert 0 == source.reads
        stream, _ = await opened(feed)
        source.add(winner(2))
        assert [2] == await hear(stream, 2)

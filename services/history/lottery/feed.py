"""Winners as they are recorded: the recorder's nudges, and one tail for all listeners."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Never, Protocol

from services.common.tasks import repeat
from services.history.fresh_cache import FreshCache
from services.history.lottery.seats import Seats
from services.history.lottery.win_log import WinEvent, WinLog
from services.history.lottery.winners import Winner
from services.history.settings import HistorySettings

_READ_WINNERS = 500
_CHUNK_WINS = 200
_WOKEN_AT_ONCE = 50
_ALONE_S = 30.0


class WinnerSource(Protocol):
    """Where the tail reads."""

    async def newest_win_no(self) -> int:
        """Number of the newest winner; 0: none."""

    async def winners_after(self, win_no: int, count: int) -> Sequence[Winner]:
        """The next winners after *win_no*, at most *count*, oldest first."""


class News:
    """
    What a listener is to hear next.

    Args:
        wins: In order; none: it has been silent for long, or this is how it begins.
        place: It then knows of all up to this number.
        missed: Whether it cannot get some that came before.
    """

    __slots__ = ("missed", "place", "wins")

    def __init__(self, wins: Sequence[WinEvent], place: int, *, missed: bool = False) -> None:
        self.wins = wins
        self.place = place
        self.missed = missed


class _Listener:
    """Somebody, and up to which number it knows of the winners of its activity."""

    __slots__ = ("activity_id", "place", "woken")

    def __init__(self, activity_id: int, place: int) -> None:
        self.activity_id = activity_id
        self.place = place
        self.woken = asyncio.Event()

    async def wait(self, until: float) -> bool:
        """Whether it was woken before that time of the loop."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self.woken.wait()
        was_woken = self.woken.is_set()
        self.woken.clear()
        return was_woken


class WinnerFeed:
    """
    Hands each new winner to all listeners; reads it from Postgres once.

    A listener has no queue: it takes what is new from the log that all share when it can, and one
    that is too slow finds that the log has gone on without it. They are woken some at a time, and
    as long again is left to the rest of the process: however many listen, they have half of it.

    Args:
        source: Where winners are read.
        log: What is kept of them.
        seats: How many may listen.
        settings: How often to look without a nudge, and the longest silence.
    """

    def __init__(
        self, source: WinnerSource, log: WinLog, seats: Seats, settings: HistorySettings
    ) -> None:
        self._source = source
        self._log = log
        self._seats = seats
        self._kept = settings.stream_kept
        self._poll_s = settings.poll_s
        self._heartbeat_s = settings.stream_heartbeat_s
        self._listeners: dict[_Listener, None] = {}
        self._fill = FreshCache("winner_stream", self._filled, max_age_s=0.0, max_entries=1)
        self._nudged = asyncio.Event()
        self._is_heard = asyncio.Event()
        self._is_closed = False

    def nudge(self) -> None:
        """Look for new winners now."""
        self._nudged.set()

    def close(self) -> None:
        """End every subscription, now and from now on."""
        self._is_closed = True
        for listener in self._listeners:
            listener.woken.set()

    async def aclose(self) -> None:
        """close(), and stop what is being read."""
        self.close()
        await self._fill.aclose()

    async def listen(
        self, activity_id: int, after: int | None, address: str
    ) -> AsyncGenerator[News, None]:
        """
        News of *activity_id* (0: of all) for a listener at *address*, until close().

        The first comes at once. Then each winner is told once, in order.

        Args:
            after: Number of the last winner that it knows of; None: from now on. Where not all that
                came after it is kept, or there is no such number, the first news says "missed".

        Raises:
            RateLimitedError: Too many listen at that address.
            OverloadedError: Too many listen.
        """
        with self._seats.taken(address):
            await self._fill.get(())
            listener = _Listener(activity_id, self._log.last if after is None else after)
            self._listeners[listener] = None
            self._is_heard.set()
            try:
                is_behind = not self._log.covers(listener.place)
                yield self._passed_over(listener) if is_behind else News((), listener.place)
                while not self._is_closed:
                    yield await self._next(listener)
            finally:
                del self._listeners[listener]
                if not self._listeners:
                    self._is_heard.clear()

    async def _next(self, listener: _Listener) -> News:
        heartbeat_at = asyncio.get_running_loop().time() + self._heartbeat_s
        while not self._is_closed:
            if not self._log.covers(listener.place):
                return self._passed_over(listener)
            wins = self._log.after(listener.place, listener.activity_id, _CHUNK_WINS)
            is_more = len(wins) == _CHUNK_WINS
            listener.place = wins[-1].win_no if is_more else self._log.last
            if wins:
                return News(wins, listener.place)
            if not await listener.wait(heartbeat_at):
                break
        return News((), listener.place)

    def _passed_over(self, listener: _Listener) -> News:
        is_of_ours = 0 <= listener.place <= self._log.last
        listener.place = self._log.floor if is_of_ours else self._log.last
        return News((), listener.place, missed=True)

    async def _filled(self, _: tuple[()]) -> None:
        """Read what is kept, as it is now; the tail does it while anybody listens."""
        if self._listeners:
            return
        newest = await self._source.newest_win_no()
        self._begin_near(newest)
        while self._log.last < newest and await self._read_on():
            pass

    def _begin_near(self, newest: int) -> None:
        oldest_kept = max(0, newest - self._kept)
        if not oldest_kept <= self._log.last <= newest:
            self._log.begin_after(oldest_kept)

    async def _read_on(self) -> bool:
        winners = await self._source.winners_after(self._log.last, _READ_WINNERS)
        self._log.extend(winners)
        return bool(winners)

    async def run(self) -> Never:
        """Deliver until cancelled; Postgres may come and go."""
        await repeat("winner_feed", self._round, every_s=0)

    async def _round(self) -> None:
        is_nudged = await self._wait()
        while self._listeners and await self._read_on():
            await self._wake()
        if self._listeners and not is_nudged:
            # Postgres was put back, and gives numbers anew that were given before.
            newest = await self._source.newest_win_no()
            if newest < self._log.last:
                self._log.begin_after(newest)
                await self._wake()

    async def _wait(self) -> bool:
        """Wait for something to tell, and somebody to tell it to; whether there was a nudge."""
        if not self._listeners:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ALONE_S):
                    await self._is_heard.wait()
        if not self._listeners:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._nudged.wait()
        is_nudged = self._nudged.is_set()
        self._nudged.clear()
        return is_nudged

    async def _wake(self) -> None:
        now = asyncio.get_running_loop().time
        for some in _slices(list(self._listeners)):
            began = now()
            for listener in some:
                listener.woken.set()
            for _ in range(3):  # until what they do has had its turn
                await asyncio.sleep(0)
            await asyncio.sleep(now() - began)


def _slices(listeners: Sequence[_Listener]) -> Iterator[list[_Listener]]:
    rest = iter(listeners)
    while some := list(islice(rest, _WOKEN_AT_ONCE)):
        yield some

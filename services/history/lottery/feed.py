"""Winners as they are recorded: the recorder's nudges, and one tail for all subscribers."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Never, Protocol

from services.common.errors import OverloadedError
from services.common.tasks import repeat
from services.history.lottery.winners import Winner

_READ_WINNERS = 100


class WinnerSource(Protocol):
    """Where the tail reads."""

    async def newest_win_no(self) -> int:
        """Number of the newest winner; 0: none."""

    async def winners_after(self, win_no: int, count: int) -> Sequence[Winner]:
        """The next winners after *win_no*, at most *count*, oldest first."""


class _Subscriber:
    def __init__(self, activity_id: int, capacity: int) -> None:
        self._activity_id = activity_id
        self._queue: asyncio.Queue[Winner | OverloadedError | None] = asyncio.Queue(capacity)

    def offer(self, winner: Winner) -> bool:
        """Queue *winner*; False when this subscriber is too slow and has been told so."""
        if self._activity_id not in (0, winner.activity_id):
            return True
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(winner)
            return True
        self.end(OverloadedError("You read too slowly; subscribe again."))
        return False

    def end(self, last: OverloadedError | None) -> None:
        """Let *last* be what it gets next: an error, or None, the end."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(last)

    async def next(self) -> Winner | None:
        winner = await self._queue.get()
        if isinstance(winner, OverloadedError):
            raise winner
        return winner


class WinnerFeed:
    """
    Hands each new winner to all subscribers; reads it from Postgres once.

    Args:
        source: Where winners are read.
        poll_s: How often to look without a nudge.
        capacity: Winners that may wait for one subscriber; one that has more is dropped.
    """

    def __init__(self, source: WinnerSource, poll_s: float = 1.0, capacity: int = 1000) -> None:
        self._source = source
        self._poll_s = poll_s
        self._capacity = capacity
        self._subscribers: set[_Subscriber] = set()
        self._last_win_no = 0
        self._nudged = asyncio.Event()
        self._is_closed = False

    def nudge(self) -> None:
        """Look for new winners now."""
        self._nudged.set()

    def close(self) -> None:
        """End every subscription, now and from now on."""
        self._is_closed = True
        for subscriber in self._subscribers:
            subscriber.end(None)

    async def subscribe(self, activity_id: int) -> AsyncGenerator[Winner | None, None]:
        """
        None, and the winners recorded from then on, of *activity_id* (0: of all), until close().

        Raises:
            OverloadedError: The subscriber has fallen too far behind.
        """
        subscriber = _Subscriber(activity_id, self._capacity)
        await self._join(subscriber)
        try:
            yield None
            while not self._is_closed and (winner := await subscriber.next()) is not None:
                yield winner
        finally:
            self._subscribers.discard(subscriber)

    async def _join(self, subscriber: _Subscriber) -> None:
        if not self._subscribers:
            newest = await self._source.newest_win_no()
            if not self._subscribers:  # else another one came first, and the tail is running
                self._last_win_no = newest
        self._subscribers.add(subscriber)

    async def run(self) -> Never:
        """Deliver until cancelled; Postgres may come and go."""
        await repeat("winner_feed", self._round, every_s=0)

    async def _round(self) -> None:
        await self._wait()
        await self._deliver()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await self._nudged.wait()
        self._nudged.clear()

    async def _deliver(self) -> None:
        while self._subscribers:
            winners = await self._source.winners_after(self._last_win_no, _READ_WINNERS)
            for winner in winners:
                self._hand_out(winner)
            if len(winners) < _READ_WINNERS:
                return
            await asyncio.sleep(0)  # let the subscribers take theirs

    def _hand_out(self, winner: Winner) -> None:
        self._last_win_no = winner.win_no
        self._subscribers = {one for one in self._subscribers if one.offer(winner)}

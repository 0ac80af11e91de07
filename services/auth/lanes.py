"""Turns at something dear, for a few at a time: a flood of strangers waits for itself."""

import asyncio
from functools import partial
from typing import NamedTuple

from prometheus_client import Gauge

from services.auth.fair_queue import FairQueue
from services.common.errors import OverloadedError

WAITING = Gauge("kuji_auth_hashes_waiting", "Passwords that wait to be hashed", ["kind"])
KNOWN, UNKNOWN, REGISTRATION = "known", "unknown", "registration"


class Lane(NamedTuple):
    """
    Where a caller waits.

    Args:
        kind: Who it is, KNOWN, UNKNOWN or REGISTRATION; kinds take turns, and each has places
            of its own.
        network: Where from; networks take turns within a kind.
        account: For whom; accounts take turns within a network.
    """

    kind: str
    network: str
    account: str


class Lanes:
    """
    Gives turns.

    Args:
        at_once: Turns that may be had at once.
        places: Callers of one kind that may wait. Beyond it the network that has most of them
            waiting loses one, the newest.
    """

    def __init__(self, at_once: int, places: int) -> None:
        self._free = at_once
        self._places = places
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        for kind in (KNOWN, UNKNOWN, REGISTRATION):
            WAITING.labels(kind).set_function(partial(self._queue.waiting, (kind,)))

    async def enter(self, lane: Lane) -> None:
        """Wait for a turn, to be ended by leave(); OverloadedError where too many wait."""
        if self._free:
            self._free -= 1
            return
        self._make_room(lane)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(lane, turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._queue.discard(lane, turn)
            if not turn.cancelled() and not turn.exception():  # given at the same moment
                self.leave()
            raise

    def leave(self) -> None:
        """End a turn; the next caller has it."""
        while self._queue:
            turn = self._queue.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _make_room(self, lane: Lane) -> None:
        if self._queue.waiting((lane.kind,)) < self._places:
            return
        crowd = self._queue.longest((lane.kind,))
        crowd_size = self._queue.waiting((lane.kind, crowd))
        if self._queue.waiting((lane.kind, lane.network)) + 1 >= crowd_size:
            raise OverloadedError
        turn = self._queue.pop_newest((lane.kind, crowd))
        if not turn.done():
            turn.set_exception(OverloadedError())

"""
That a lottery gives no draws, said to edges, which then answer for it.

An edge answers so for LEASE_S from the moment it asked. A change that may open the pool first makes
known that it is coming, and waits until all that was said before is over: so no draw is ever made
while some edge answers that there is none to be had.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import IntEnum
from typing import NamedTuple, cast

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from services.common.errors import OverloadedError
from services.pool.rule.terms import PoolStatus, PoolStore
from services.pool.store.keys import OPENS, REQUESTS, key

LEASE_S = 0.8
_CHANGE_MS = 5000  # longer than a lease and a change take
_BITS_OF_ONE = 32
_SMALLEST, _LARGEST = 1 << 7, 1 << 22  # bytes
_AT_ONCE = 512
_NUMBERS = struct.Struct("<III")


class Closing(IntEnum):
    """Why users get no draw; see kuji.draw.v1.Closing."""

    OPEN = 0
    SOLD_OUT = 1
    PAUSED = 2
    ENDED = 3


class Closed(NamedTuple):
    """Why a pool gives no draws, and the version of the configuration that holds."""

    closing: Closing
    version: int


OPEN = Closed(Closing.OPEN, 0)
_OF_STATUS = {PoolStatus.PAUSED: Closing.PAUSED, PoolStatus.ENDED: Closing.ENDED}


class Closings:
    """Says which lotteries give no draws."""

    def __init__(self, redis: Redis, store: PoolStore) -> None:
        self._redis = redis
        self._store = store

    async def look(self, pool_id: int) -> Closed:
        """Why the lottery *pool_id* gives users no draws for LEASE_S; OPEN: it may give some."""
        if await self._redis.exists(key(pool_id, OPENS)):  # asked before the rest, see above
            return OPEN
        return await self._state(pool_id)

    async def _state(self, pool_id: int) -> Closed:
        # In this order: what closes a version holds as long as that.
        live = await self._store.inspect(pool_id)
        opening = None if live is None else await self._store.opening(pool_id)
        if live is None or opening is None:
            return OPEN
        closing = _OF_STATUS.get(opening.status, Closing.OPEN)
        if opening.status is PoolStatus.OPEN and live.nothing_to_win:
            closing = Closing.SOLD_OUT
        return Closed(closing, live.version) if closing else OPEN

    @asynccontextmanager
    async def opening(self, pool_id: int) -> AsyncIterator[None]:
        """Around a change that may open the pool: no edge answers for it by then."""
        name = key(pool_id, OPENS)
        try:
            await self._redis.set(name, 1, px=_CHANGE_MS)
        except OutOfMemoryError as error:
            raise OverloadedError("The store is full; nothing was done.") from error
        if (await self._state(pool_id)).closing:
            await asyncio.sleep(LEASE_S)
        yield
        await self._redis.delete(name)  # after a change of unknown outcome it stays for its time

    async def drawn(self, pool_id: int) -> bytes:
        """
        A Bloom filter of the request ids that have drawn, see kuji.draw.v1.GetClosingResponse.

        It has all that had drawn when it was begun.
        """
        names = [key(pool_id, name) for name in REQUESTS]
        count = sum([await self._redis.hlen(name) for name in names])
        bits = bytearray(size_for(count))
        for name in names:
            cursor = -1
            while cursor:
                cursor, page = await self._redis.hscan(name, max(cursor, 0), count=_AT_ONCE)
                note(bits, cast(Mapping[bytes, bytes], page))
        return bytes(bits)


def size_for(count: int) -> int:
    """Bytes for the request ids of *count* draws: one in 1400 others is taken for one of them."""
    wanted = max(_SMALLEST, count * _BITS_OF_ONE // 8)
    return min(_LARGEST, 1 << (wanted - 1).bit_length())


def note(bits: bytearray, digests: Iterable[bytes]) -> None:
    """Set the bits of *digests*."""
    mask = 8 * len(bits) - 1
    for digest in digests:
        for number in _NUMBERS.unpack_from(digest):
            at = number & mask
            bits[at >> 3] |= 1 << (at & 7)

"""The ends of ledgers: draws that were answered and are not in Postgres yet."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog
from redis.asyncio import Redis

from services.pool.ledger.entries import Draw, DrawEntry, decode_entry
from services.pool.rule.prize_code import prize_code
from services.pool.store.keys import ledger_key

log = structlog.get_logger()
_ENTRIES_AT_ONCE = 100


class TailDraw(NamedTuple):
    """
    A draw of a box's ledger.

    Args:
        drawn_ms: When it was made, Unix milliseconds.
        announced: Whether it may be shown before it is recorded.
    """

    pool_id: int
    seq: int
    drawn_ms: int
    draw: Draw
    announced: bool

    @property
    def prize_code(self) -> str:
        """As its order item will have it."""
        return prize_code(self.pool_id, self.seq, self.draw.code_bytes)

    @property
    def luck_no(self) -> int:
        """The ticket drawn, from 1."""
        return self.draw.ticket + 1


class HasPositions(Protocol):
    """What was recorded at one moment."""

    @property
    def recorded_seqs(self) -> Mapping[int, int]:
        """Of the pools that may have drawn since: pool id → newest draw recorded."""


R = TypeVar("R", bound=HasPositions)


class LedgerTails:
    """
    Reads ledgers from where the records end.

    Args:
        redis: A client that does not decode responses.
        max_draws: Of more draws than these, none are given: the recorder is far behind.
    """

    def __init__(self, redis: Redis, max_draws: int) -> None:
        self._redis = redis
        self._max_draws = max_draws

    async def entry_at(self, pool_id: int, seq: int) -> list[TailDraw] | None:
        """
        The draws made in one step with draw *seq*, but for those that may not be told yet.

        None: the ledger does not have it.
        """
        # A configuration noted at the same seq has a higher sub-id, so it comes after.
        raw: Any = await self._redis.xrange(ledger_key(pool_id), min=f"{seq}-0", count=1)
        draws = _draws_of(pool_id, raw)
        return _announced(draws) if draws and draws[0].seq <= seq else None

    async def settle(self, look: Callable[[], Awaitable[R]]) -> tuple[R, list[TailDraw]]:
        """
        What is recorded and what is not yet: together all that was drawn, nothing twice.

        Args:
            look: Says what is recorded, and how far.

        Returns:
            What *look* said, and the draws after it that may be shown, those of a pool in order.
        """
        recorded = await look()
        tail = await self._after(recorded.recorded_seqs)
        while not _follows(tail, recorded.recorded_seqs):
            # Either it was recorded and trimmed between the two looks, or the ledger has a gap.
            before, recorded = recorded.recorded_seqs, await look()
            tail = await self._after(recorded.recorded_seqs)
            if recorded.recorded_seqs == before:
                break
        return recorded, _announced(tail)

    async def _after(self, recorded_seqs: Mapping[int, int]) -> list[TailDraw]:
        tail: list[TailDraw] = []
        reading = dict(recorded_seqs)
        while reading:
            replies = await self._read(reading)
            for pool_id, raw in zip(list(reading), replies, strict=True):
                tail += _draws_of(pool_id, raw)
                if len(raw) < _ENTRIES_AT_ONCE:
                    del reading[pool_id]
                else:
                    reading[pool_id] = _seq_of(raw[-1])
            if len(tail) > self._max_draws:
                log.warning(
                    "too many draws are not recorded to list them", pools=len(recorded_seqs)
                )
                return []
        return tail

    async def _read(self, after_seqs: Mapping[int, int]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for pool_id, seq in after_seqs.items():
                pipe.xrange(ledger_key(pool_id), min=f"{seq + 1}-0", count=_ENTRIES_AT_ONCE)
            replies: list[Any] = await pipe.execute()
        return replies


def _seq_of(raw: Any) -> int:  # noqa: ANN401  # as redis gives it
    return int(raw[0].partition(b"-")[0])


def _draws_of(pool_id: int, raw: Iterable[Any]) -> list[TailDraw]:
    entries = [decode_entry(stream_id, fields) for stream_id, fields in raw]
    return [
        TailDraw(pool_id, seq, entry.drawn_ms, draw, entry.announced)
        for entry in entries
        if isinstance(entry, DrawEntry)
        for seq, draw in enumerate(entry.draws, entry.first_seq)
    ]


def _announced(draws: Iterable[TailDraw]) -> list[TailDraw]:
    return [one for one in draws if one.announced]


def _follows(tail: Iterable[TailDraw], recorded_seqs: Mapping[int, int]) -> bool:
    """Whether each pool's draws begin right after what is recorded."""
    firsts = {one.pool_id: one.seq for one in reversed(list(tail))}
    return all(seq == recorded_seqs[pool_id] + 1 for pool_id, seq in firsts.items())

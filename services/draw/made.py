"""Draws that were made: just now, or before, then from Postgres or else from the ledger."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
import structlog
from redis.asyncio import Redis

from services.common.errors import UnavailableError
from services.common.outages import is_outage, told
from services.common.postgres import load_queries
from services.common.timestamps import ms_of
from services.draw.confirmation import Confirmer, UnconfirmedWin
from services.pool.ledger.entries import Draw, DrawEntry
from services.pool.ledger.reader import entry_of
from services.pool.rule.prize_code import prize_code
from services.pool.rule.terms import Answer, Drawing

log = structlog.get_logger()
_queries: Any = load_queries(__file__)


class MadeDraw(NamedTuple):
    """A draw at its place in the ledger; prize_id 0: a miss; prize_name "": not known."""

    seq: int
    version: int
    drawn_ms: int
    prize_id: int
    prize_name: str
    prize_code: str
    ticket: int
    weight: int
    total: int
    link: str


class MadeDraws:
    """Reads draws that were made before, by their place in the ledger."""

    def __init__(self, postgres: asyncpg.Pool, redis: Redis, confirmer: Confirmer) -> None:
        self._postgres = postgres
        self._redis = redis
        self._confirmer = confirmer

    async def read(self, pool_id: int, first_seq: int, count: int) -> Sequence[MadeDraw]:
        """
        The *count* draws from *first_seq* on; they were made by one script call.

        Wins that may not be announced yet are waited for; the caller bounds the wait.

        Raises:
            UnavailableError: They are on their way between the two, or not confirmed; ask again.
        """
        draws = await self._recorded(pool_id, first_seq, count)
        if len(draws) < count:
            draws = await self._from_ledger(pool_id, first_seq, count)
        if len(draws) < count:
            raise UnavailableError("This draw was made, and its result is not readable yet.")
        return draws

    async def _recorded(self, pool_id: int, first_seq: int, count: int) -> Sequence[MadeDraw]:
        try:
            return await self._from_postgres(pool_id, first_seq, count)
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("recorded draws unreadable, the ledger may have them", error=told(error))
            return ()

    async def _from_ledger(self, pool_id: int, first_seq: int, count: int) -> Sequence[MadeDraw]:
        found = await entry_of(self._redis, pool_id, first_seq)
        if found is None:
            return ()
        at = first_seq - found.entry.first_seq
        draws = found.entry.draws[at : at + count]
        wins = [
            UnconfirmedWin(seq, draw.user_id, draw.request_id.decode())
            for seq, draw in enumerate(draws, first_seq)
            if draw.prize_id
        ]
        if wins and not found.may_be_told:
            await self._confirmer.confirm(pool_id, wins)
        return _of_entry(pool_id, found.entry, first_seq, draws)

    async def _from_postgres(self, pool_id: int, first_seq: int, count: int) -> Sequence[MadeDraw]:
        rows = _queries.recorded_draws(
            self._postgres, pool_id=pool_id, first_seq=first_seq, last_seq=first_seq + count - 1
        )
        return [
            MadeDraw(
                row["seq"],
                row["version"],
                ms_of(row["created_at"]),
                row["prize_id"] or 0,
                row["prize_name"] or "",
                row["prize_code"] or "",
                row["ticket"],
                row["odds_weight"],
                row["odds_total"],
                row["link"] or "",
            )
            async for row in rows
        ]


def _of_entry(
    pool_id: int, entry: DrawEntry, first_seq: int, draws: Sequence[Draw]
) -> Sequence[MadeDraw]:
    return [
        MadeDraw(
            first_seq + k,
            entry.version,
            entry.drawn_ms,
            draw.prize_id,
            "",
            prize_code(pool_id, first_seq + k, draw.code_bytes) if draw.prize_id else "",
            draw.ticket,
            draw.weight,
            draw.total,
            entry.link,
        )
        for k, draw in enumerate(draws)
    ]


def fresh_draws(pool_id: int, drawing: Drawing, answer: Answer) -> list[MadeDraw]:
    """What *answer* drew just now, as it will be read."""
    return [
        MadeDraw(
            seq,
            drawing.version,
            drawing.now_ms,
            drawn.prize_id,
            "",
            prize_code(pool_id, seq, drawn.code_bytes) if drawn.prize_id else "",
            drawn.ticket,
            drawn.weight,
            drawn.total,
            drawing.chain,
        )
        for seq, drawn in enumerate(answer.draws, answer.first_seq)
    ]

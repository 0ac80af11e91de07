"""A draw's result: readable as soon as the draw was answered, from Postgres or the ledger."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
from google.protobuf import json_format
from kuji.draw.v1.pool_pb2 import PoolConfig, PoolPrize
from redis.asyncio import Redis

from services.common.draw_id import DrawId
from services.common.errors import NotFoundError, UnavailableError
from services.common.masking import mask
from services.common.postgres import load_queries
from services.common.timestamps import datetime_of_ms
from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.marks.missing import refuse_if_answered
from services.pool.rule.fairness import roll_text
from services.pool.rule.prize_code import prize_code
from services.pool.store.keys import DOCUMENT, key, ledger_key
from services.pool.won_prize import WonPrize

_queries = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class ResultView:
    """
    A draw's outcome, as a given viewer may see it.

    Args:
        draw_id: The draw.
        activity_id: 0 for a blind box.
        user_name: In full for the user, masked for others.
        prize: None for a miss.
        drawn_at: When.
        weight: The odds of this outcome then, of total.
        total: All weights then.
        roll_text: What its roll is made of besides the seed; empty for all but the user.
    """

    draw_id: DrawId
    activity_id: int
    user_name: str
    prize: WonPrize | None
    drawn_at: datetime
    weight: int
    total: int
    roll_text: str


def _name_for(viewer_id: int, user_id: int, username: str | None) -> str:
    return username or "" if viewer_id == user_id else mask(username or "")


def _roll_text_for(
    viewer_id: int, draw_id: DrawId, user_id: int, request_id: str, index: int, count: int
) -> str:
    if viewer_id != user_id:
        return ""
    # A last prize comes with the roll of the ticket before it.
    return roll_text(draw_id.pool_id, user_id, request_id, min(index, count - 1))


class ResultReader:
    """Finds results."""

    def __init__(self, postgres: asyncpg.Pool, redis: Redis) -> None:
        self._postgres = postgres
        self._redis = redis

    async def result(self, draw_id: DrawId, viewer_id: int) -> ResultView:
        """
        The result of *draw_id* as user *viewer_id* may see it.

        Raises:
            NotFoundError: There is no such draw.
            UnavailableError: It has won, and may be announced only once it is recorded; or the
                store is an older copy, without it.
        """
        # The second look is for a draw that was recorded, and trimmed, between the first two.
        result = (
            await self._recorded(draw_id, viewer_id)
            or await self._in_ledger(draw_id, viewer_id)
            or await self._recorded(draw_id, viewer_id)
        )
        if result is None:
            raise NotFoundError("There is no such draw.")
        return result

    async def _recorded(self, draw_id: DrawId, viewer_id: int) -> ResultView | None:
        row = await _queries.recorded_draw(self._postgres, pool_id=draw_id.pool_id, seq=draw_id.seq)
        if row is None:
            return None
        prize = None
        if row["prize_id"] is not None:
            code = row["prize_code"] if viewer_id == row["user_id"] else ""
            prize = WonPrize(row["prize_id"], row["prize_name"], row["image_url"] or "", code)
        return ResultView(
            draw_id=draw_id,
            activity_id=row["activity_id"] or 0,
            user_name=_name_for(viewer_id, row["user_id"], row["username"]),
            prize=prize,
            drawn_at=row["created_at"],
            weight=row["odds_weight"],
            total=row["odds_total"],
            roll_text=_roll_text_for(
                viewer_id,
                draw_id,
                *(row["user_id"], row["request_id"], row["draw_index"], row["draw_count"]),
            ),
        )

    async def _in_ledger(self, draw_id: DrawId, viewer_id: int) -> ResultView | None:
        entry = await self._entry(draw_id)
        if entry is None:
            return None
        draw = entry.draws[draw_id.seq - entry.first_seq]
        if draw.prize_id and not entry.announced:
            raise UnavailableError("This draw is not confirmed yet; ask again in a moment.")
        config = await self._config(draw_id.pool_id, entry.version)
        prize = None
        if draw.prize_id:
            code = prize_code(*draw_id, draw.code_bytes) if viewer_id == draw.user_id else ""
            configured = _prize_of(config, draw.prize_id)
            prize = WonPrize(draw.prize_id, configured.name, configured.image_url, code)
        username = await _queries.username(self._postgres, user_id=draw.user_id)
        return ResultView(
            draw_id=draw_id,
            activity_id=config.activity_id,
            user_name=_name_for(viewer_id, draw.user_id, username),
            prize=prize,
            drawn_at=datetime_of_ms(entry.drawn_ms),
            weight=draw.weight,
            total=draw.total,
            roll_text=_roll_text_for(
                viewer_id,
                draw_id,
                *(draw.user_id, draw.request_id.decode(), draw.draw_index, draw.draw_count),
            ),
        )

    async def _entry(self, draw_id: DrawId) -> DrawEntry | None:
        recorded_seq = await _queries.recorded_seq(self._postgres, pool_id=draw_id.pool_id)
        if recorded_seq is None or draw_id.seq <= recorded_seq:
            return None  # no such pool, or a seq that was never used
        found: Any = await self._redis.xrange(
            ledger_key(draw_id.pool_id), min=f"{draw_id.seq}-0", count=1
        )
        for stream_id, fields in found:
            entry = decode_entry(stream_id, fields)
            if isinstance(entry, DrawEntry) and entry.first_seq <= draw_id.seq:
                return entry
        await refuse_if_answered(self._postgres, *draw_id)
        return None

    async def _config(self, pool_id: int, version: int) -> PoolConfig:
        """The configuration that held; not recorded yet, it is the live one, or just was."""
        text = await _queries.pool_config(self._postgres, pool_id=pool_id, version=version)
        if text is None:
            text = await self._redis.get(key(pool_id, DOCUMENT))
        return json_format.Parse(text or "{}", PoolConfig(), ignore_unknown_fields=True)


def _prize_of(config: PoolConfig, prize_id: int) -> PoolPrize:
    return next((prize for prize in config.prizes if prize.prize_id == prize_id), PoolPrize())

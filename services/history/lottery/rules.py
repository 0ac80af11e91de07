"""An activity's rules: the odds and units of every time, as the ledger has them."""

import asyncio
from collections.abc import Hashable
from datetime import datetime
from typing import NamedTuple

import asyncpg
from cachetools import LRUCache
from google.protobuf import json_format
from kuji.draw.v1.pool_pb2 import PoolConfig

from services.common.errors import ActivityNotFoundError
from services.common.paging import Page
from services.common.postgres import load_queries

_queries = load_queries(__file__)
_KNOWN_VERSIONS = 256


class RulesQuery(NamedTuple):
    """A page of an activity's versions."""

    activity_id: int
    page: Page


class Limits(NamedTuple):
    """
    What one user may do now; 0: no limit.

    Args:
        time_zone: Whose midnight begins a day.
        ticket_required, ticket_difficulty, ticket_spread_ms: See Activity in admin.proto.
    """

    cooldown_seconds: int
    max_draws_per_user: int
    max_draws_per_day: int
    max_wins_per_user: int
    time_zone: str
    ticket_required: bool
    ticket_difficulty: int
    ticket_spread_ms: int


class RuledPrize(NamedTuple):
    """A prize in one version; odds in parts per billion."""

    prize_id: int
    name: str
    probability_ppb: int
    total_count: int
    is_enabled: bool


class Version(NamedTuple):
    """Odds and units that held from draw *from_seq* on, changed at *from_time*."""

    from_time: datetime
    from_seq: int
    prizes: list[RuledPrize]


class Rules(NamedTuple):
    """A page of versions, oldest first, and one more where a further page exists."""

    versions: list[Version]
    limits: Limits
    seed_commitment: str
    confirm: str


class RulesStore:
    """Reads configurations as the recorder wrote them."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres
        self._known: LRUCache[Hashable, list[RuledPrize]] = LRUCache(_KNOWN_VERSIONS)

    async def rules(self, query: RulesQuery) -> Rules:
        """The rules of an activity; ActivityNotFoundError without one."""
        terms = await _queries.terms(self._postgres, activity_id=query.activity_id)
        if terms is None:
            raise ActivityNotFoundError
        seed_commitment, confirm, *limits = terms
        rows = _queries.rules(
            self._postgres,
            activity_id=query.activity_id,
            row_limit=query.page.size + 1,
            row_offset=query.page.offset,
        )
        versions = [await self._version(row) async for row in rows]
        return Rules(versions, Limits(*limits), seed_commitment, confirm)

    async def _version(self, row: asyncpg.Record) -> Version:
        # What a version was never changes.
        key = (row["version"], row["after_seq"], row["changed_at"])
        prizes = self._known.get(key)
        if prizes is None:
            await asyncio.sleep(0)  # hundreds of prizes take milliseconds, and a page has a hundred
            prizes = self._known[key] = _prizes(row["config"])
        return Version(row["changed_at"], row["after_seq"] + 1, prizes)


def _prizes(config_json: str) -> list[RuledPrize]:
    config = json_format.Parse(config_json, PoolConfig(), ignore_unknown_fields=True)
    return [
        RuledPrize(
            prize.prize_id,
            prize.name,
            prize.weight,
            prize.units + prize.held_units,
            prize.enabled,
        )
        for prize in config.prizes
        if not prize.retired
    ]

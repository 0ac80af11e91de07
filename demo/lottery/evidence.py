"""What the verdict is computed from: Postgres, Redis and the JSON face, after the last draw."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from demo.accounts import Player
from demo.books import read_books
from demo.crowd import for_each
from demo.edge import Edge, Json
from demo.lottery.campaign import Campaign
from ops.connections import Stores
from services.common.postgres import load_queries
from services.pool.books.facts import PoolFacts
from services.pool.books.findings import Finding

_queries = load_queries(__file__)
_LIST_MAX_AGE_S = 1.0


class Record(NamedTuple):
    """A draw as Postgres has it. *prize_id* 0, *prize_code* empty: a miss."""

    user_id: int
    request_id: str
    draw_id: str
    prize_id: int
    prize_code: str


class Listed(NamedTuple):
    """A draw as the JSON face lists it. *prize_id* 0: a miss."""

    draw_id: str
    prize_id: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    The draws of one activity, from every side.

    Args:
        facts: The pool's books.
        findings: What does not add up in them.
        records: Postgres's rows.
        winners: The global list, newest first, as the JSON face gives it.
        histories: User id → its draws, as the JSON face gives them.
        statistics: The activity's, as the JSON face gives them.
    """

    facts: PoolFacts
    findings: Sequence[Finding]
    records: Sequence[Record]
    winners: Sequence[Json]
    histories: dict[int, list[Listed]]
    statistics: Json


async def collect_evidence(
    stores: Stores, edge: Edge, token: str, campaign: Campaign, players: Sequence[Player]
) -> Evidence:
    """All evidence of *campaign*; *token* is an administrator's."""
    facts, findings = await read_books(stores, campaign.pool_id)
    records = _queries.list_records(stores.postgres, pool_id=campaign.pool_id)
    # The list may be a second old.
    await asyncio.sleep(_LIST_MAX_AGE_S)
    statistics = await edge.get("/admin/api/statistics", token, activity_id=campaign.activity_id)
    return Evidence(
        facts,
        findings,
        [Record(*row) async for row in records],
        await _winners(edge, campaign),
        await _histories(edge, campaign, players),
        statistics,
    )


async def _winners(edge: Edge, campaign: Campaign) -> list[Json]:
    rows = edge.pages("/api/lottery/global-history", "winners", activity_id=campaign.activity_id)
    return [row async for row in rows]


async def _histories(
    edge: Edge, campaign: Campaign, players: Sequence[Player]
) -> dict[int, list[Listed]]:
    async def read(player: Player) -> list[Listed]:
        path, activity_id = "/api/user/lottery-history", campaign.activity_id
        rows = edge.pages(path, "records", player.token, activity_id=activity_id)
        return [listed(row) async for row in rows]

    histories = await for_each(players, read)
    return {player.user_id: rows for player, rows in zip(players, histories, strict=True)}


def listed(row: Json) -> Listed:
    """A row of a list of the JSON face; 64-bit numbers may come as strings."""
    return Listed(row["draw_id"], int(row["prize_id"]))

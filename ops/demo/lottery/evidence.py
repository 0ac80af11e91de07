"""What the verdict is computed from: Postgres, Redis and the JSON face, after the last draw."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ops.connections import Stores
from ops.demo.campaign import Campaign
from ops.demo.edge import Edge, Json
from ops.demo.players import Player
from services.common.postgres import load_queries
from services.draw.books.collector import Auditor
from services.draw.books.facts import PoolFacts
from services.draw.books.findings import Finding
from services.draw.redis_store import RedisStore

_queries = load_queries(__file__)
_POLL_S = 0.05
_CATCH_UP_S = 60.0
_LIST_MAX_AGE_S = 1.0
_READING_AT_ONCE = 16


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


async def wait_until_recorded(
    stores: Stores, pool_id: int, on_progress: Callable[[int, int], None]
) -> None:
    """
    Return once Postgres has the pool's newest draw, or the recorder had its time for it: what
    is missing then, the verdict says.

    Args:
        stores: Both.
        pool_id: The pool; no more draws may come.
        on_progress: Called with the newest seq recorded, and the newest drawn.
    """
    live = await RedisStore(stores.redis, max_backlog=0).inspect(pool_id)
    newest = live.seq if live else 0
    try:
        async with asyncio.timeout(_CATCH_UP_S):
            while (recorded := await _recorded_seq(stores, pool_id)) < newest:
                on_progress(recorded, newest)
                await asyncio.sleep(_POLL_S)
        on_progress(newest, newest)
    except TimeoutError:
        return


async def _recorded_seq(stores: Stores, pool_id: int) -> int:
    seq: int = await _queries.recorded_seq(stores.postgres, pool_id=pool_id)
    return seq


async def collect_evidence(
    stores: Stores, edge: Edge, token: str, campaign: Campaign, players: Sequence[Player]
) -> Evidence:
    """All evidence of *campaign*; *token* is an administrator's."""
    auditor = Auditor(stores.postgres, stores.redis)
    facts = await auditor.facts(campaign.pool_id)
    findings = await auditor.audit_pool(campaign.pool_id)
    if facts is None or findings is None:
        raise LookupError(f"pool {campaign.pool_id} is gone")
    records = _queries.list_records(stores.postgres, pool_id=campaign.pool_id)
    # The list may be a second old.
    await asyncio.sleep(_LIST_MAX_AGE_S)
    statistics = await edge.get("/admin/api/statistics", token, activity_id=campaign.activity_id)
    return Evidence(
        facts,
        [*findings, *await auditor.audit_winner_list()],
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
    gate = asyncio.Semaphore(_READING_AT_ONCE)

    async def read(player: Player) -> list[Listed]:
        path, activity_id = "/api/user/lottery-history", campaign.activity_id
        async with gate:
            rows = edge.pages(path, "records", player.token, activity_id=activity_id)
            return [listed(row) async for row in rows]

    async with asyncio.TaskGroup() as group:
        tasks = {player.user_id: group.create_task(read(player)) for player in players}
    return {user_id: task.result() for user_id, task in tasks.items()}


def listed(row: Json) -> Listed:
    """A row of a list of the JSON face; 64-bit numbers may come as strings."""
    return Listed(row["draw_id"], int(row["prize_id"]))

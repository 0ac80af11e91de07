"""What a pool is made of, read from Postgres."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from google.protobuf import json_format
from kuji.draw.v1 import pool_pb2

from services.common.addresses import Network
from services.common.orders import draw_request_id
from services.common.postgres import Connection, load_queries
from services.pool.marks.mark import Mark
from services.pool.rule.fairness import request_digest
from services.pool.rule.terms import DAY_MS
from services.pool.store.layout import PackedRequest, PackedUser

_FETCH_ROWS = 2_000
_queries: Any = load_queries(__file__)


class RecordedPosition(NamedTuple):
    """
    How far a pool is recorded.

    Args:
        seq: Newest draw in Postgres, or the last place of a gap noted after it.
        version: Newest configuration that an operator's change has published; it may be newer
            than the newest recorded one.
        mark: The newest change that was answered, as the draw processes have told.
        reserved_seq: No draw has an id above it; 0: nobody knows.
    """

    seq: int
    version: int
    mark: Mark = Mark()
    reserved_seq: int = 0


class Standing(NamedTuple):
    """
    What remains of a pool.

    Args:
        version: Newest configuration that is recorded; 0: none.
        config: That configuration, as recorded; None: none.
        left: Prize id → units left; unlimited prizes are not in it.
        units: Prize id → units in all; −1: unlimited.
        link: The ledger's newest link; "": none yet.
        last_ms: When the newest draw was made, Unix ms; 0: none yet.
        last_user: Who made it; 0: none yet.
    """

    version: int
    config: pool_pb2.PoolConfig | None
    left: dict[int, int]
    units: dict[int, int]
    link: str
    last_ms: int
    last_user: int


async def lock(connection: Connection, pool_id: int) -> RecordedPosition:
    """How far the pool is recorded; its row stays locked to the end of the transaction."""
    pool = await _queries.lock_pool(connection, pool_id=pool_id)
    mark = Mark(pool["mark_seq"], pool["mark_us"])
    return RecordedPosition(pool["recorded_seq"], pool["version"], mark, pool["reserved_seq"])


async def standing(connection: Connection, pool_id: int) -> Standing:
    """What remains of a pool whose row is locked."""
    wins = _queries.wins_by_prize(connection, pool_id=pool_id)
    won = {row["prize_id"]: row["wins"] async for row in wins}
    newest = await _queries.newest_config(connection, pool_id=pool_id)
    draw = await _queries.newest_draw(connection, pool_id=pool_id)
    units = {prize_id: n for prize_id, n, _ in json.loads(newest["units"])} if newest else {}
    return Standing(
        version=newest["version"] if newest else 0,
        config=json_format.Parse(newest["config"], pool_pb2.PoolConfig()) if newest else None,
        left={prize_id: n - won.get(prize_id, 0) for prize_id, n in units.items() if n >= 0},
        units=units,
        link=await _queries.newest_link(connection, pool_id=pool_id) or "",
        last_ms=draw["drawn_ms"] if draw else 0,
        last_user=draw["user_id"] if draw else 0,
    )


async def packed_users(
    connection: Connection, pool_id: int
) -> AsyncIterator[list[tuple[str, bytes]]]:
    """Fields of the users hash, some at a time: see layout.py."""
    wins_of: defaultdict[int, dict[str, int]] = defaultdict(dict)
    async for row in _queries.user_wins(connection, pool_id=pool_id):
        wins_of[row["user_id"]][str(row["prize_id"])] = row["wins"]
    async for rows in _chunks(connection, _queries.users.sql, pool_id, DAY_MS):
        yield [_packed_user(row, wins_of.get(row["user_id"], {})) for row in rows]


def _packed_user(row: Any, wins: dict[str, int]) -> tuple[str, bytes]:  # noqa: ANN401
    user = PackedUser(
        row["last_ms"], row["draws"], row["day"], row["day_draws"], sum(wins.values()), wins
    )
    return str(row["user_id"]), user.pack()


async def packed_requests(
    connection: Connection, pool_id: int, now_ms: int
) -> AsyncIterator[list[tuple[int, bytes, bytes]]]:
    """The request ids of today and yesterday (UTC), some at a time: day, digest, what it drew."""
    async for rows in _chunks(connection, _queries.requests.sql, pool_id, _since_ms(now_ms)):
        yield [
            (
                row["day"],
                request_digest(row["user_id"], row["request_id"]),
                PackedRequest(row["first_seq"], row["places"], row["draws"]).pack(),
            )
            for row in rows
        ]


async def packed_voids(
    connection: Connection, pool_id: int, now_ms: int
) -> AsyncIterator[list[tuple[int, bytes, bytes]]]:
    """The request ids of orders' attempts that were given up, likewise; all count as of today."""
    today, since_ms = now_ms // DAY_MS, _since_ms(now_ms)
    async for rows in _chunks(connection, _queries.void_attempts.sql, pool_id, since_ms):
        yield [
            (
                today,
                request_digest(row["user_id"], draw_request_id(row["order_num"], attempt)),
                PackedRequest(0, 0, row["draw_count"]).pack(),
            )
            for row in rows
            for attempt in range(1, row["attempts"] + 1)
        ]


def _since_ms(now_ms: int) -> int:
    """The start of yesterday (UTC)."""
    return (now_ms // DAY_MS - 1) * DAY_MS


async def _chunks(connection: Connection, query: str, *arguments: int) -> AsyncIterator[list[Any]]:
    # Not aiosql's cursors: they open a savepoint, which is in the way of a rebuild that fails.
    cursor = await connection.cursor(query, *arguments)
    while rows := await cursor.fetch(_FETCH_ROWS):
        yield rows


async def active_blocks(connection: Connection) -> tuple[dict[int, int], dict[Network, int]]:
    """
    Who is blocked, and which ranges of addresses; nobody changes it then.

    Returns:
        User id → Unix ms until which the user is blocked, 0: for good; and range → likewise.
    """
    await _queries.keep_blocks(connection)
    rows = [row async for row in _queries.active_blocks(connection)]
    users = {row["user_id"]: row["until_ms"] for row in rows if row["network"] is None}
    networks = {row["network"]: row["until_ms"] for row in rows if row["network"] is not None}
    return users, networks


async def pool_ids(connection: Connection) -> list[int]:
    """Every pool."""
    return [row["id"] async for row in _queries.pool_ids(connection)]


async def lost_draws(connection: Connection, pool_id: int, recorded: RecordedPosition) -> int:
    """How many draws were answered and are not recorded, as far as the draw processes have told."""
    lost: int = await _queries.answered_draws(
        connection, pool_id=pool_id, after_seq=recorded.seq, mark_seq=recorded.mark.seq
    )
    return lost


async def note_gap(
    connection: Connection, pool_id: int, first_seq: int, last_seq: int, run_id: str
) -> None:
    """
    Note that these places are never used; recording goes on after them.

    Orders that were told places in it are reserved again.
    """
    await _queries.reopen_orders(connection, pool_id=pool_id, seq=first_seq - 1)
    await _queries.add_gap(
        connection, pool_id=pool_id, first_seq=first_seq, last_seq=last_seq, reason="rebuild"
    )
    await _queries.skip_to(connection, pool_id=pool_id, seq=last_seq)
    await _queries.reserve_to(connection, pool_id=pool_id, seq=last_seq, run_id=run_id)

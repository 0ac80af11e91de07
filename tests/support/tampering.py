"""Changes to what is recorded of a pool, as somebody with access to Postgres could make them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from services.common.postgres import Connection

Tamper = Callable[[Connection, int], Awaitable[object]]


class Tampering(NamedTuple):
    """What is done, and the first draw that the check must name."""

    name: str
    tamper: Tamper
    first: int


@asynccontextmanager
async def scratch_database(server: str, name: str) -> AsyncIterator[asyncpg.Pool]:
    """A migrated database *name* on *server*, for several tests; dropped on leaving."""
    async with asyncpg.create_pool(f"{server}/postgres", min_size=0) as postgres:
        await postgres.execute(f"CREATE DATABASE {name} TEMPLATE migrated_template")
        async with asyncpg.create_pool(f"{server}/{name}", min_size=0) as pool:
            yield pool
        await postgres.execute(f"DROP DATABASE {name}")


def run_sql(*statements: str) -> Tamper:
    """Runs statements; $1 is the pool."""

    async def run(connection: Connection, pool_id: int) -> None:
        for statement in statements:
            await connection.execute(statement, pool_id)

    return run


def change_draw(seq: int, change: str) -> Tamper:
    """Runs an UPDATE of one row; *change*: what it sets."""
    return run_sql(f"UPDATE lottery_records SET {change} WHERE pool_id = $1 AND seq = {seq}")


def remove_draws(first: int, last: int) -> Tamper:
    """Deletes the draws *first* to *last*."""
    return run_sql(
        f"DELETE FROM lottery_records WHERE pool_id = $1 AND seq BETWEEN {first} AND {last}"
    )


def change_config(place: int, change: str) -> Tamper:
    """Changes the configuration at *place*, from 0, in the order of versions."""
    return run_sql(
        f"UPDATE pool_versions SET {change} WHERE version ="
        f" (SELECT version FROM pool_versions WHERE pool_id = $1 ORDER BY 1 OFFSET {place} LIMIT 1)"
    )


def remove_config(place: int) -> Tamper:
    """Deletes the configuration at *place*."""
    return run_sql(
        "DELETE FROM pool_versions WHERE version = (SELECT version FROM pool_versions"
        f" WHERE pool_id = $1 ORDER BY 1 OFFSET {place} LIMIT 1)"
    )


_MOVED = (
    "user_id, request_id, draw_index, draw_count, user_draw_no, prize_id, prize_name, ticket,"
    " odds_weight"
)


def swap_draws(one: int, other: int) -> Tamper:
    """Exchanges what two rows hold, so that each stands in the other's place."""
    return run_sql(
        f"UPDATE lottery_records AS r SET ({_MOVED}) = (SELECT {_MOVED} FROM lottery_records"
        f" WHERE pool_id = $1 AND seq = {one + other} - r.seq)"
        f" WHERE pool_id = $1 AND seq IN ({one}, {other})"
    )


def shift_draws(after: int, by: int) -> tuple[str, ...]:
    """Statements that renumber the draws after *after*, and the links with them."""
    # By way of negative numbers, as the key is unique at every moment.
    return (
        f"UPDATE lottery_records SET seq = -seq WHERE pool_id = $1 AND seq > {after}",
        f"UPDATE lottery_records SET seq = -seq + {by} WHERE pool_id = $1 AND seq < 0",
        f"UPDATE ledger_links SET last_seq = last_seq + {by}, seqs = ARRAY("
        f" SELECT CASE WHEN seq > {after} THEN seq + {by} ELSE seq END"
        "  FROM unnest(seqs) WITH ORDINALITY AS place (seq, n) ORDER BY n) WHERE pool_id = $1",
        f"UPDATE pool_versions SET after_seq = after_seq + {by}"
        f" WHERE pool_id = $1 AND after_seq > {after}",
        f"UPDATE pools SET recorded_seq = recorded_seq + {by} WHERE id = $1",
    )


def copy_draw(seq: int, to: int) -> str:
    """A statement that invents a draw: a copy of *seq* by another user."""
    return (
        f"INSERT INTO lottery_records (pool_id, seq, {_MOVED}, version, odds_total,"
        f" created_at) SELECT pool_id, {to}, user_id + 500, request_id, draw_index, draw_count, 1,"
        " prize_id, prize_name, ticket, odds_weight, version, odds_total, created_at"
        f" FROM lottery_records WHERE pool_id = $1 AND seq = {seq}"
    )

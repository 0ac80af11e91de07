"""The metrics of the books: they say which pool is off, and by how much."""

import asyncpg
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.pool.books.collector import Auditor
from services.pool.books.watch import BooksWatch
from services.pool.store.keys import key
from tests.support.books import Pool, open_pool


async def _drawn_pool(postgres: asyncpg.Pool, redis: Redis) -> Pool:
    pool = await open_pool(postgres, redis, 50, 3)
    await pool.configure(0.5, 0.3)
    await pool.draw(20)
    await pool.record()
    await pool.draw(20)
    return pool


def _findings(pool: Pool) -> float | None:
    return REGISTRY.get_sample_value("kuji_books_findings", {"pool": str(pool.pool_id)})


async def test_books_metric_is_zero_while_draws_are_in_flight(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """X3: with half of the draws recorded and half in flight, every unit is accounted for."""
    pool = await _drawn_pool(postgres, redis)
    await BooksWatch(Auditor(postgres, redis)).look()
    assert 0 == _findings(pool)


async def test_books_metric_tells_prize_and_amount_when_stock_is_off(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """X3: two units that appear from nowhere are two too many of that very prize."""
    pool = await _drawn_pool(postgres, redis)
    prize_id = pool.prize_ids[0]
    await redis.hincrby(key(pool.pool_id, "stock"), str(prize_id), 2)
    await BooksWatch(Auditor(postgres, redis)).look()
    labels = {"pool": str(pool.pool_id), "prize": str(prize_id)}
    assert 2 == REGISTRY.get_sample_value("kuji_books_off_by", labels)
    assert 1 == _findings(pool)


async def test_books_metric_leaves_out_what_will_not_draw_again(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """A pool whose seed is revealed is audited by command only."""
    pool = await _drawn_pool(postgres, redis)
    seed = b"\2" * 32
    await postgres.execute(
        "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) VALUES ($1, sha256($2), '')",
        pool.pool_id,
        seed,
    )
    await postgres.execute(
        "INSERT INTO pool_reveals (pool_id, seed) VALUES ($1, $2)", pool.pool_id, seed
    )
    await BooksWatch(Auditor(postgres, redis)).look()
    assert _findings(pool) is None

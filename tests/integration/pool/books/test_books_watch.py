"""The metrics of the books: they say which pool is off, and by how much."""

import asyncpg
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.pool.books.collector import Auditor, StockAudit
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


class Counting(Auditor):
    """An auditor that notes what it is asked."""

    def __init__(self, postgres: asyncpg.Pool, redis: Redis) -> None:
        super().__init__(postgres, redis)
        self.asked: list[int] = []

    async def audit_stock(self, pool_id: int) -> StockAudit:
        """As it is."""
        self.asked.append(pool_id)
        return await super().audit_stock(pool_id)

    def taken(self) -> list[int]:
        """What was asked since the last time, sorted."""
        asked, self.asked = self.asked, []
        return sorted(asked)


async def test_books_of_pools_that_rest_are_audited_in_turn(
    postgres: asyncpg.Pool, redis: Redis
) -> None:
    """G11: a look costs what has happened, and a few more, however many pools there are."""
    pools = [await _drawn_pool(postgres, redis) for _ in range(4)]
    ids = [pool.pool_id for pool in pools]
    auditor = Counting(postgres, redis)
    watch = BooksWatch(auditor, resting_at_once=1)
    for pool_id in [*ids, *ids]:
        await watch.look()
        assert [pool_id] == auditor.taken()
    await pools[2].record()
    await redis.hincrby(key(ids[3], "stock"), str(pools[3].prize_ids[0]), 2)
    await watch.look()
    assert [ids[0], ids[2]] == auditor.taken()
    for _ in range(2):
        await watch.look()
        auditor.taken()
    assert [0, 0, 0, 1] == [_findings(pool) for pool in pools]
    await watch.look()
    assert ids[3] in auditor.taken()  # again and again, until it balances

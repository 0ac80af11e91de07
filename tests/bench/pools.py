"""Activities to draw from, and their books: what was acknowledged against what is recorded."""

import asyncio
import itertools
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import grpc
from kuji.draw.v1 import pool_pb2, pool_pb2_grpc

from services.pool.store.keys import key
from tests.bench.jobs import Job, Tally
from tests.bench.servers import Bench, Site, queries

UNITS = 100_000_000
WIN_PPB = 100_000_000  # one draw in ten wins
_RECORDED_TIMEOUT_S = 300.0
_names = itertools.count(1)


class BooksError(Exception):
    """The rows in Postgres are not the answers that were given."""


@dataclass
class MeasuredPool:
    """
    An open activity on a site.

    Args:
        checked_seq: Draws up to this one were compared with their answers.
    """

    bench: Bench
    site: Site
    pool_id: int
    activity_id: int
    checked_seq: int = 0

    async def do(self, job: Job) -> Tally:
        """
        Let the generator do *job* on this activity.

        Raises:
            BooksError: A call failed: what it drew is not known.
        """
        tally = await self.bench.generator.do(
            replace(
                job,
                target=self.site.redis_url if job.kind == "bare" else self.site.address,
                name=f"r{next(_names)}",
                token=self.bench.token,
                pool_id=self.pool_id,
                activity_id=self.activity_id,
            )
        )
        if tally.failures:
            raise BooksError(f"calls failed: {tally.failures}")
        return tally

    async def until_recorded(self) -> float:
        """
        Wait until every draw is in Postgres; when that was seen, monotonic seconds.

        Raises:
            BooksError: They do not come.
        """
        last_seq = int(await self.site.redis.hget(key(self.pool_id, "state"), "seq") or 0)
        try:
            async with asyncio.timeout(_RECORDED_TIMEOUT_S):
                await self._until_recorded(last_seq)
        except TimeoutError as error:
            raise BooksError(f"pool {self.pool_id}: draw {last_seq} is not recorded") from error
        return time.monotonic()

    async def _until_recorded(self, seq: int) -> None:
        async with self.site.postgres.acquire() as connection:
            while await queries.recorded_seq(connection, pool_id=self.pool_id) < seq:  # noqa: ASYNC110  # nothing tells us
                await asyncio.sleep(0.01)

    async def check(self, job_draws: int) -> None:
        """
        Compare the rows since the last check with the answers to the last job.

        Raises:
            BooksError: They differ.
        """
        await self.until_recorded()
        with tempfile.NamedTemporaryFile(prefix="kuji-acknowledged-") as file:
            told = await self.bench.generator.do(Job("acknowledgements", file.name))
            if told.failures or told.draws != job_draws:
                raise BooksError(f"of {job_draws} draws {told.draws} drew: {told.failures}")
            async with self.site.postgres.acquire() as connection:
                await compare(connection, self.pool_id, self.checked_seq, Path(file.name))
        self.checked_seq += job_draws


async def compare(
    connection: asyncpg.pool.PoolConnectionProxy, pool_id: int, after_seq: int, file: Path
) -> None:
    """
    Hold the rows of a pool's draws after *after_seq* against the lines of *file*.

    Args:
        connection: Outside a transaction.
        pool_id: The pool.
        after_seq: Draws up to this one are not looked at.
        file: "seq,user id,request id,prize id" of each acknowledged draw; see acknowledged.py.

    Raises:
        BooksError: A draw is missing, is there unasked, differs, or its win is not listed.
    """
    async with connection.transaction():
        await queries.make_acknowledged(connection)
        await connection.copy_to_table("acknowledged", source=file, format="csv")
        found = await queries.differences(connection, pool_id=pool_id, after_seq=after_seq)
        listless = await queries.winners_differ(connection, pool_id=pool_id, after_seq=after_seq)
    differences = {**found, "not listed": listless}
    if any(differences.values()):
        raise BooksError(f"pool {pool_id}, draws after {after_seq}: {differences}")


async def open_pool(
    bench: Bench,
    site: Site,
    prizes: int = 4,
    confirm: pool_pb2.Confirm.ValueType = pool_pb2.CONFIRM_UNSPECIFIED,
) -> MeasuredPool:
    """An open activity with *prizes* prizes that share WIN_PPB, published as admin does it."""
    metadata = (("authorization", f"Bearer {bench.token}"),)
    async with (
        grpc.aio.insecure_channel(site.address) as channel,
        site.postgres.acquire() as connection,
        connection.transaction(),
    ):
        service = pool_pb2_grpc.PoolServiceStub(channel)
        made = await service.CreatePool(pool_pb2.CreatePoolRequest(), metadata=metadata)
        commitment = bytes.fromhex(made.seed_commitment)
        await queries.insert_pool(connection, pool_id=made.pool_id, commitment=commitment)
        activity_id = await queries.insert_activity(connection, pool_id=made.pool_id)
        rows = queries.insert_prizes(
            connection,
            activity_id=activity_id,
            pool_id=made.pool_id,
            prizes=prizes,
            units=UNITS,
            probability_ppb=WIN_PPB // prizes,
        )
        config = _config(activity_id, {row["id"]: row["name"] async for row in rows})
        config.confirm = confirm
        version = await queries.next_version(connection)
        await service.PublishPool(
            pool_pb2.PublishPoolRequest(pool_id=made.pool_id, version=version, config=config),
            metadata=metadata,
        )
        await queries.set_version(connection, pool_id=made.pool_id, version=version)
    return MeasuredPool(bench, site, made.pool_id, activity_id)


def _config(activity_id: int, prizes: dict[int, str]) -> pool_pb2.PoolConfig:
    return pool_pb2.PoolConfig(
        mode=pool_pb2.POOL_MODE_ODDS,
        status=pool_pb2.POOL_STATUS_OPEN,
        start_ms=1,
        activity_id=activity_id,
        prizes=[
            pool_pb2.PoolPrize(
                prize_id=prize_id,
                name=name,
                units=UNITS,
                weight=WIN_PPB // len(prizes),
                enabled=True,
            )
            for prize_id, name in prizes.items()
        ],
    )

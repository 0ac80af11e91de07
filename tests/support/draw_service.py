"""A running draw service between a real Redis and a real Postgres, and callers of it."""

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc, pool_pb2, pool_pb2_grpc

from services.common.server.serve import build_server
from services.draw.assembly import open_draw
from services.draw.settings import DrawSettings
from services.pool.rule.selection import PPB
from stack import servers
from stack.ports import free_port
from stack.processes import Child
from tests.support.admin import FakeAuth, auth_server
from tests.support.draws import CODE_KEY

SEED_KEY = "5e" * 32


class Caller:
    """A client of the draw service with one person's, or one service's, token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        draws, pools = (
            draw_pb2_grpc.DrawServiceStub(channel),
            pool_pb2_grpc.PoolServiceStub(channel),
        )
        self._stubs = {"kuji.draw.v1.DrawService": draws, "kuji.draw.v1.PoolService": pools}
        self._stream: Any = draws.DrawStream
        self.metadata = () if token is None else (("authorization", f"Bearer {token}"),)

    async def __call__(self, request: Any, timeout: float | None = 15) -> Any:
        """Send *request* to the method that its type names; grpc.aio.AioRpcError on failure."""
        name = type(request).__name__.removesuffix("Request")
        services = request.DESCRIPTOR.file.services_by_name.values()
        (service,) = [one.full_name for one in services if name in one.methods_by_name]
        method = getattr(self._stubs[service], name)
        return await method(request, timeout=timeout, metadata=self.metadata)

    async def draw(
        self, activity_id: int, request_id: str, user_id: int = 0, **options: Any
    ) -> Any:
        """One draw's result."""
        request = draw_pb2.DrawRequest(
            activity_id=activity_id, request_id=request_id, user_id=user_id
        )
        return (await self(request, **options)).result

    async def batch(self, *draws: tuple[int, int, str], **options: Any) -> list[Any]:
        """The outcomes of (activity id, user id, request id) elements."""
        request = draw_pb2.DrawBatchRequest(draws=[element(*draw) for draw in draws])
        return list((await self(request, **options)).outcomes)

    def stream(self, requests: AsyncIterator[draw_pb2.DrawStreamRequest] | None = None) -> Any:
        """A call of DrawStream, fed by *requests* or by its write()."""
        return self._stream(requests, timeout=60, metadata=self.metadata)


def element(activity_id: int, user_id: int, request_id: str) -> draw_pb2.BatchDraw:
    """An element of a batch or a stream."""
    return draw_pb2.BatchDraw(activity_id=activity_id, user_id=user_id, request_id=request_id)


def told(outcome: draw_pb2.DrawOutcome) -> str:
    """The reason of an element's error; its draw id when it drew."""
    return outcome.error.reason or outcome.result.draw_id


@dataclass
class Activity:
    """An activity and its pool, as published; mutate *config* and publish it again."""

    activity_id: int
    pool_id: int
    version: int
    config: pool_pb2.PoolConfig

    @property
    def prize_ids(self) -> list[int]:
        """In the order of selection."""
        return [prize.prize_id for prize in self.config.prizes]


@dataclass
class World:
    """
    The draw service, running.

    Args:
        auth: Signs the tokens.
        auth_address: Where it listens.
        postgres: This test's database.
        addresses: Where each replica listens.
        channels: One to each replica.
    """

    auth: FakeAuth
    auth_address: str
    postgres: asyncpg.Pool
    addresses: Sequence[str]
    channels: Sequence[grpc.aio.Channel]

    def user(self, user_id: int, replica: int = 0, role: str = "user") -> Caller:
        """A caller with this user's token."""
        return Caller(self.channels[replica], self.auth.token(user_id, f"user-{user_id}", role))

    def service(self, replica: int = 0) -> Caller:
        """A caller with a service's token."""
        return Caller(self.channels[replica], self.auth.token(0, "tests", "service"))

    async def activity(self, *prizes: tuple[int, int], **config: Any) -> Activity:
        """An ongoing ODDS activity of (units, parts per billion) prizes, published."""
        made = await self.service()(pool_pb2.CreatePoolRequest())
        activity_id = await _insert_activity(self.postgres, made)
        rows = [await _insert_prize(self.postgres, made.pool_id, activity_id, *p) for p in prizes]
        message = pool_pb2.PoolConfig(
            **{
                "mode": pool_pb2.POOL_MODE_ODDS,
                "status": pool_pb2.POOL_STATUS_OPEN,
                "activity_id": activity_id,
                "prizes": rows,
                **config,
            }
        )
        activity = Activity(activity_id, made.pool_id, 0, message)
        await self.publish(activity)
        return activity

    async def publish(self, activity: Activity, replica: int = 0) -> pool_pb2.PublishPoolResponse:
        """Publish the activity's configuration as its next version, as the administration does."""
        version = await self.postgres.fetchval("SELECT nextval('pool_versions_seq')")
        request = pool_pb2.PublishPoolRequest(
            pool_id=activity.pool_id,
            version=version,
            expected_version=activity.version,
            config=activity.config,
        )
        published: pool_pb2.PublishPoolResponse = await self.service(replica)(request)
        await self.postgres.execute(
            "UPDATE pools SET version = $2 WHERE id = $1", activity.pool_id, version
        )
        activity.version = version
        return published

    async def state(self, activity: Activity, replica: int = 0) -> pool_pb2.PoolState | None:
        """The live state of its pool; None when it is not loaded."""
        request = pool_pb2.InspectPoolsRequest(pool_ids=[activity.pool_id])
        states = (await self.service(replica)(request)).pools
        return states[0] if states else None

    async def left(self, activity: Activity) -> list[int]:
        """Units left of each prize."""
        state = await self.state(activity)
        assert state is not None
        return [stock.remaining for stock in state.stocks]


async def _insert_activity(postgres: asyncpg.Pool, made: pool_pb2.CreatePoolResponse) -> int:
    await postgres.execute(
        "INSERT INTO pools (id, mode, seed_commitment) VALUES ($1, 'odds', $2)",
        made.pool_id,
        bytes.fromhex(made.seed_commitment),
    )
    activity_id: int = await postgres.fetchval(
        "INSERT INTO activities (pool_id, name, start_time, status)"
        " VALUES ($1, 'Spring', '2023-01-01Z', 'open') RETURNING id",
        made.pool_id,
    )
    return activity_id


async def _insert_prize(
    postgres: asyncpg.Pool, pool_id: int, activity_id: int, units: int, weight: int
) -> pool_pb2.PoolPrize:
    prize_id = await postgres.fetchval(
        "INSERT INTO prizes (activity_id, pool_id, name, total_count, probability_ppb)"
        " VALUES ($1, $2, 'Bear', $3, $4) RETURNING id",
        activity_id,
        pool_id,
        units,
        min(weight, PPB),
    )
    return pool_pb2.PoolPrize(
        prize_id=prize_id,
        name=f"Prize {prize_id}",
        image_url=f"https://img.example/{prize_id}.png",
        units=units,
        weight=weight,
        enabled=True,
    )


@asynccontextmanager
async def replica(auth_address: str, **settings: Any) -> AsyncIterator[str]:
    """A draw service in this process; its host:port."""
    given = {"listen": "127.0.0.1:0", "auth_address": auth_address}
    secrets = {"seed_key": SEED_KEY, "code_key": CODE_KEY}
    read = DrawSettings(**{**given, **secrets, **settings})
    async with open_draw(read) as draw:
        server, port, _ = build_server(draw.services, draw.verifier, read, read.draw_front)
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(1)


@asynccontextmanager
async def open_world(
    postgres: asyncpg.Pool, dsn: str, *redis_urls: str, **settings: Any
) -> AsyncIterator[World]:
    """A draw service, one replica for each of *redis_urls*, with settings besides the defaults."""
    auth = FakeAuth()  # type: ignore[abstract]  # the methods that verifiers call
    async with AsyncExitStack() as stack:
        auth_address = await stack.enter_async_context(auth_server(auth))
        addresses = [
            await stack.enter_async_context(
                replica(auth_address, **{"postgres_dsn": dsn, "redis_url": url, **settings})
            )
            for url in redis_urls
        ]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address))
            for address in addresses
        ]
        yield World(auth, auth_address, postgres, addresses, channels)


class Valkey:
    """
    A Valkey of one test's own, answering after the fsync.

    Args:
        folder: Its data and log.
        options: More of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        program = servers.valkey(folder / "data", port, folder / "log")
        self._child = Child(replace(program, command=[*program.command, *options]))
        self._probe = partial(servers.valkey_answers, self.url)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    async def ready(self) -> None:
        """Return when it answers."""
        await self._child.wait_until_ready(self._probe)

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self._child.exit_code() is None:
            os.kill(self._child.pid, signal.SIGKILL)
        self._child.finish(10)

    async def start_again(self) -> None:
        """Start it on the data it has; return when it answers."""
        self._child.restart()
        await self.ready()


@asynccontextmanager
async def own_valkey(folder: Path, *options: str) -> AsyncIterator[Valkey]:
    """A Valkey that a test may kill."""
    valkey = Valkey(folder, *options)
    try:
        await valkey.ready()
        yield valkey
    finally:
        valkey.kill()


@pytest.fixture(name="world")
async def plain_world(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: object
) -> AsyncIterator[World]:
    """A draw service over an empty Redis and a fresh database; for a folder's conftest."""
    async with open_world(postgres, postgres_dsn, redis_url) as world:
        yield world

"""The real servers under measurement: Valkey, Postgres, auth, and sites of draw and recorder."""

import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from redis.asyncio import Redis

from services.common.migrate import migrate
from services.common.postgres import load_queries
from services.common.server.serve import Front
from services.draw.settings import DrawSettings
from stack import databases, servers
from stack.ports import free_port
from stack.processes import ROOT, Child, Program, stop
from tests.bench.kept import Kept
from tests.bench.load import Generator, open_generator
from tests.bench.scale import Scale
from tests.support.stacks import StackUnderTest

queries = load_queries(__file__)
_FRONT = "KUJI_DRAW_FRONT"
_RECORDERS = ("services.recorder", "services.history.recorder")  # the latter: of old versions
_SERVICE_SECRET = "the measurements' service secret"
_SECRETS = {
    "KUJI_TOKEN_KEY_SECRET": "5e" * 32,
    "KUJI_SEED_KEY": "5d" * 32,
    "KUJI_CODE_KEY": "5c" * 32,
    "KUJI_SERVICE_SECRET": _SERVICE_SECRET,
    "KUJI_ADMIN_PASSWORD": "battery staple",
    "KUJI_SERVICE_TOKEN_TTL_S": "86400",
}
# All load comes from this machine.
_NO_LIMIT_OF_AN_ADDRESS = {
    "KUJI_EDGE_ADDRESS_PER_S": "1000000",
    "KUJI_EDGE_ADDRESS_BURST": "1000000",
}
_STOP_TIMEOUT_S = 10.0


class NotDurableError(Exception):
    """A server does not keep what it acknowledges; nothing would be worth measuring."""


@dataclass(frozen=True)
class Service:
    """
    A process that serves gRPC.

    Args:
        module: What it runs.
        environment: What it is told beside its address and the secrets.
        address: host:port.
    """

    module: str
    environment: Mapping[str, str]
    address: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")


@dataclass(frozen=True)
class Site:
    """
    A draw process and a recorder with a database and a Redis of their own.

    Args:
        draw: The draw process.
        recorder: The recorder.
        address: host:port of the draw process.
        redis_url: Its Redis.
        redis: A client of it.
        postgres: Its database.
    """

    draw: Child
    recorder: Child
    address: str
    redis_url: str
    redis: Redis
    postgres: asyncpg.Pool


class Bench:
    """What all measurements share."""

    def __init__(
        self,
        folder: Path,
        redis_server: str,
        postgres_server: str,
        scale: Scale,
        checkout: Path = ROOT,
    ) -> None:
        self.folder = folder
        self._checkout = checkout
        self._recorder = next(
            name for name in _RECORDERS if (checkout / name.replace(".", "/")).is_dir()
        )
        self._sites = 0
        self.exits = AsyncExitStack()
        keeps = self.exits if scale.is_smoke else None
        self._kept_sites = Kept(lambda: self._fresh_site(scale.users), keeps)
        self._kept_stacks = Kept(self._fresh_stack, keeps)
        self.valkey: Child
        self.postgres: Child
        self.redis_server = redis_server
        self.postgres_server = postgres_server
        self.auth_address = ""
        self.generator: Generator
        self.token = ""
        self.whole: object = None  # see whole/stack.py

    @asynccontextmanager
    async def running(self, *services: Service) -> AsyncIterator[list[Child]]:
        """*services*, started together; gone at the end."""
        children = [Child(self._program(service)) for service in services]
        try:
            for service, child in zip(services, children, strict=True):
                await child.wait_until_ready(partial(_serves, service.address))
            yield children
        finally:
            stop(children, _STOP_TIMEOUT_S)

    def _program(self, service: Service) -> Program:
        port = service.address.rpartition(":")[2]
        own = self._checkout == ROOT
        python = sys.executable if own else str(self._checkout / ".venv/bin/python")
        return Program(
            service.module,
            [python, "-m", service.module],
            self.folder / f"{service.module}-{port}.log",
            {**_inherited(), **_SECRETS, "KUJI_LISTEN": service.address, **service.environment},
            folder=self._checkout,
        )

    def site(self) -> AbstractAsyncContextManager[Site]:
        """A site with the scale's users, numbered from 1."""
        return self._kept_sites.alone()

    def stack(self) -> AbstractAsyncContextManager[StackUnderTest]:
        """The whole of Kuji, as `make up` runs it, with stores of its own."""
        return self._kept_stacks.shared()

    @asynccontextmanager
    async def _fresh_site(self, users: int) -> AsyncIterator[Site]:
        number = self._sites = self._sites + 1
        dsn = await self.new_database(f"site_{number}")
        redis_url = f"{self.redis_server}/{number}"
        environment = {
            "KUJI_POSTGRES_DSN": dsn,
            "KUJI_REDIS_URL": redis_url,
            "KUJI_AUTH_ADDRESS": self.auth_address,
        }
        services = [Service(name, environment) for name in ("services.draw", self._recorder)]
        async with (
            asyncpg.create_pool(dsn, min_size=0, max_size=4) as postgres,
            Redis.from_url(redis_url) as redis,
            self.running(*services) as (draw, recorder),
        ):
            await queries.insert_users(postgres, users=users)
            await queries.vacuum(postgres)
            yield Site(draw, recorder, services[0].address, redis_url, redis, postgres)
            await redis.flushdb()

    @asynccontextmanager
    async def _fresh_stack(self) -> AsyncIterator[StackUnderTest]:
        # On the disk on which the other servers are: what is in memory is synced for nothing.
        home = Path(tempfile.mkdtemp(prefix="stack-", dir=self.folder))
        stack = StackUnderTest(home, _NO_LIMIT_OF_AN_ADDRESS)
        async with stack.running_beside():
            yield stack

    async def create_database(self, name: str) -> str:
        """The DSN of an empty database."""
        connection = await asyncpg.connect(f"{self.postgres_server}/postgres")
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return f"{self.postgres_server}/{name}"

    async def new_database(self, name: str) -> str:
        """The DSN of a fresh database with Kuji's schema."""
        dsn = await self.create_database(name)
        connection = await asyncpg.connect(dsn)
        await migrate(connection)
        await connection.close()
        return dsn


def front() -> Front:
    """What serves gRPC in the draw processes that are measured."""
    return Front(os.environ.get(_FRONT) or DrawSettings.model_fields["draw_front"].default)


def _inherited() -> Mapping[str, str]:
    """Of what is told to Kuji, only which front the draw process has."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("KUJI_") or name == _FRONT
    }


async def _serves(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=1
            )
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def open_bench(scale: Scale, checkout: Path = ROOT) -> AsyncIterator[Bench]:
    """
    Start what is shared by the measures of *scale*; all of it is gone at the end.

    Args:
        scale: How much they measure.
        checkout: Whose services are measured.

    Raises:
        NotDurableError: A server does not keep what it acknowledges.
        StackError: A server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="kuji-bench-") as name:
        folder, password = Path(name), secrets.token_hex()
        redis_port, postgres_port = free_port(), free_port()
        bench = Bench(
            folder,
            f"redis://127.0.0.1:{redis_port}",
            f"postgresql://postgres:{password}@127.0.0.1:{postgres_port}",
            scale,
            checkout,
        )
        bench.valkey = Child(servers.valkey(folder / "valkey", redis_port, folder / "valkey.log"))
        bench.postgres = Child(
            servers.postgres(folder / "postgres", postgres_port, folder / "postgres.log")
        )
        try:
            data = folder / "postgres"
            await bench.postgres.wait_until_ready(partial(databases.is_up, data, postgres_port))
            await databases.open_to_superuser(data, postgres_port, password)
            await _wait_until_durable(bench)
            async with _with_auth(bench), bench.exits:
                yield bench
        finally:
            stop([bench.valkey, bench.postgres], _STOP_TIMEOUT_S)


async def _wait_until_durable(bench: Bench) -> None:
    redis_url, dsn = f"{bench.redis_server}/0", f"{bench.postgres_server}/postgres"
    await bench.valkey.wait_until_ready(lambda: servers.valkey_answers(redis_url))
    connection = await asyncpg.connect(dsn)
    async with Redis.from_url(redis_url) as redis:
        await check_durable(redis, connection)
    await connection.close()


async def check_durable(redis: Redis, postgres: asyncpg.Connection | asyncpg.Pool) -> None:
    """
    Return where both keep what they acknowledge.

    Raises:
        NotDurableError: One does not.
    """
    told = {_text(k): _text(v) for k, v in (await redis.config_get("append*")).items()}
    settings = {**await queries.durability(postgres)}
    if (told["appendonly"], told["appendfsync"]) != ("yes", "always"):
        raise NotDurableError(f"Valkey runs with {told}")
    if set(settings.values()) != {"on"}:
        raise NotDurableError(f"Postgres runs with {settings}")


def _text(told: object) -> str:
    return told.decode() if isinstance(told, bytes) else str(told)


@asynccontextmanager
async def _with_auth(bench: Bench) -> AsyncIterator[None]:
    dsn = await bench.new_database("auth")
    auth = Service("services.auth", {"KUJI_POSTGRES_DSN": dsn})
    async with open_generator() as generator, bench.running(auth):
        bench.auth_address, bench.generator = auth.address, generator
        async with grpc.aio.insecure_channel(bench.auth_address) as channel:
            answer = await auth_pb2_grpc.AuthServiceStub(channel).IssueServiceToken(
                auth_pb2.IssueServiceTokenRequest(service="bench", secret=_SERVICE_SECRET)
            )
        bench.token = answer.access_token
        yield

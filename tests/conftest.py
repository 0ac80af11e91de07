"""Real servers for the tests: one Valkey and one Postgres a test process, a database a test."""

import asyncio
import functools
import itertools
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import asyncpg
import httpx
import httpx._transports.default as httpx_transports
import pytest
import redis.asyncio

from services.common.grants import SERVICES, grant, role_of
from services.common.logs import configure_logs
from services.common.migrate import migrate
from stack import databases, servers
from stack.ports import free_port
from stack.processes import Child, Probe, Program, stop
from tests.support.folders import throwaway_folder
from tests.support.warm_start import warm_start

# A test's database is thrown away with its server, so no fsync need be paid for; the durability
# tests start a server of their own.
_THROWAWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "128MB",
    "scram_iterations": "1",  # of each of thousands of connections
}
_TEMPLATE = "migrated_template"
# For every server here and in the processes started: a reason that is not stated is a failure.
os.environ["KUJI_STRICT_CONTRACT"] = "true"
# Each process here, and each of those that are started, would compile all that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
Child.start = staticmethod(warm_start)
# Each client, and each httpx.get, would read the authorities of the whole world: 50 ms.
vars(httpx_transports)["create_ssl_context"] = functools.cache(httpx.create_ssl_context)
# Files of a minute, which nobody is to wait for alone at the end; those first whose tests share a
# process for longest.
_LONG = (
    "hostile",
    *(f"integration/{name}" for name in ("stack", "bench")),
    "e2e",
    "chaos",
    "monitoring",  # not beside those who are hostile
    "integration/outages",
    "image",
)
_numbers = itertools.count(1)


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups, as those of the folders are
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    The long files come first. The tests of a file stay together, and so do those which share a
    stack: each process that had some of them would start one.
    """
    items.sort(key=_turn)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def pytest_collection_finish(session: pytest.Session) -> None:
    """No test is on its own in a run of several processes: xdist writes groups into the names."""
    if session.config.getoption("loadgroup", False):
        alone = [item.nodeid for item in session.items if "@" not in item.nodeid]
        if alone:
            raise pytest.UsageError(f"in no group: {alone[:3]}")


def _turn(item: pytest.Item) -> int:
    places = (nth for nth, name in enumerate(_LONG) if item.nodeid.startswith(f"tests/{name}/"))
    return next(places, len(_LONG))


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    # A loop of its own, so that pytest-asyncio's stays the current one.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(work())


def _running(program: Program, probe: Probe) -> Iterator[None]:
    child = Child(program)
    try:
        _run(lambda: child.wait_until_ready(probe))
        yield
    finally:
        stop([child], timeout_s=10)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    # The default prints tracebacks with every local, which takes seconds for a large batch.
    configure_logs("test", "warning")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a real Valkey that answers after the fsync; shared by the session's tests."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    with throwaway_folder("kuji-valkey-") as folder:
        valkey = servers.valkey(folder / "data", port, folder / "log")
        for _ in _running(valkey, lambda: servers.valkey_answers(url)):
            yield url


@pytest.fixture(name="redis")
async def _redis(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    """A client of an empty Valkey; answers are bytes."""
    client = redis.asyncio.Redis.from_url(redis_url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The DSN, without a database, of a real Postgres with a migrated template database."""
    port, password = free_port(), secrets.token_hex()
    server = f"postgresql://postgres:{password}@127.0.0.1:{port}"

    async def prepare() -> None:
        await databases.open_to_superuser(folder / "data", port, password)
        roles = [role_of(service) for service in SERVICES]
        await databases.ensure_roles(folder / "data", port, dict.fromkeys(roles, password))
        await _execute(f"{server}/postgres", f"CREATE DATABASE {_TEMPLATE}")
        connection = await asyncpg.connect(f"{server}/{_TEMPLATE}")
        await migrate(connection)
        await grant(connection)
        await connection.close()

    with throwaway_folder("kuji-postgres-") as folder:
        program = servers.postgres(folder / "data", port, folder / "log", _THROWAWAY)
        for _ in _running(program, lambda: databases.is_up(folder / "data", port)):
            _run(prepare)
            yield server


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture(scope="session")
async def _databases(postgres_server: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(f"{postgres_server}/postgres")
    yield connection
    await connection.close()


@pytest.fixture
async def postgres_dsn(postgres_server: str, _databases: asyncpg.Connection) -> AsyncIterator[str]:
    """The DSN of a migrated database that this test alone uses."""
    name = f"test_{next(_numbers)}"
    await _databases.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
    yield f"{postgres_server}/{name}"
    await _databases.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def postgres(postgres_dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool of connections to this test's database."""
    async with asyncpg.create_pool(postgres_dsn, min_size=0, max_size=8) as pool:
        yield pool

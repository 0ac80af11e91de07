"""A whole stack for the tests of this folder, started once a test process."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import redis

from tests.support.edge import log_in_admin
from tests.support.secrecy import KnownSecrets, logs_of
from tests.support.shop import Shop, open_shop
from tests.support.stacks import StackUnderTest, stack_home

# Files whose tests have no stack, or one of their own.
_APART = ("backup", "demo", "load", "rolling_restart", "traces", "wheels")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The others share one stack, and so one process."""
    for item in items:
        folder, _, name = item.path.relative_to(item.config.rootpath).as_posix().rpartition("/")
        if folder == "tests/e2e" and name not in {f"test_{each}.py" for each in _APART}:
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def secrets() -> KnownSecrets:
    """Those that the tests of this folder know, and all that their clients send and get."""
    return KnownSecrets()


@pytest.fixture(scope="session")
def stack(secrets: KnownSecrets) -> Iterator[StackUnderTest]:
    """
    The real thing: Valkey, Postgres, all services and Envoy; healthy, and never refused. No log
    holds a secret in the end, and those of services nothing but JSON.
    """
    with stack_home() as home:
        stack = StackUnderTest(home, {"KUJI_LOG_LEVEL": "debug"})
        with stack.running():
            yield stack
            assert [] == _refusals(stack)
            assert [] == _strange_lines(stack)
            with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                runner.run(secrets.learn_all(stack))
            assert [] == secrets.leaks(logs_of(stack))


def _strange_lines(stack: StackUnderTest) -> list[str]:
    """What a library has written past the log: whoever reads logs expects a JSON object a line."""
    return [
        line
        for part in stack.grpc
        for line in (stack.home / "logs" / f"{part}.log").read_text().splitlines()
        if not line.startswith("{")
    ]


def _refusals(stack: StackUnderTest) -> list[str]:
    """What a service wanted of a store and had no right to."""
    log = (stack.home / "logs" / "postgres.log").read_text()
    with redis.Redis.from_url(stack.redis) as valkey:
        denied: list[dict[str, str]] = valkey.acl_log()
    return [
        *(line for line in log.splitlines() if "permission denied" in line),
        *(f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in denied),
    ]


@pytest.fixture
async def http(stack: StackUnderTest, secrets: KnownSecrets) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the edge."""
    hooks = {"response": [secrets.look]}
    async with httpx.AsyncClient(base_url=stack.edge, timeout=20, event_hooks=hooks) as client:
        yield client


@pytest.fixture
async def admin_token(stack: StackUnderTest, http: httpx.AsyncClient) -> str:
    """The administrator's."""
    return await log_in_admin(http, stack.admin)


@pytest.fixture
async def ichiban(http: httpx.AsyncClient, admin_token: str) -> Shop:
    """Two boxes of 3 + 7 tickets, with a last prize."""
    return await open_shop(
        http,
        admin_token,
        "ichiban",
        {"stock": 3},
        {"stock": 7, "shang_id": 1},
        {"is_last_prize": True, "title": "the last one"},
        boxes=2,
    )


@pytest.fixture
async def infinite(http: httpx.AsyncClient, admin_token: str) -> Shop:
    """Two unlimited items, 1 : 3."""
    return await open_shop(
        http,
        admin_token,
        "infinite",
        {"weight": 100},
        {"weight": 300, "shang_id": 1},
    )

"""A whole stack for the tests of this folder, started once a test process."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import redis

from tests.support.edge import log_in_admin
from tests.support.shop import Shop, open_shop
from tests.support.stacks import StackUnderTest, stack_home


@pytest.fixture(scope="session")
def stack() -> Iterator[StackUnderTest]:
    """The real thing: Valkey, Postgres, all services and Envoy; healthy, and never refused."""
    with stack_home() as home:
        stack = StackUnderTest(home)
        with stack.running():
            yield stack
            assert [] == _refusals(stack)


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
async def http(stack: StackUnderTest) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the edge."""
    async with httpx.AsyncClient(base_url=stack.edge, timeout=20) as client:
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

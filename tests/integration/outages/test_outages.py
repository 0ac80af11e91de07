"""
Every service through every outage of the stores and of each other, under calls of every kind.

During it each call is answered, or told UNAVAILABLE with a hint; afterwards all is well, with no
hand.
"""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.admin.v1 import admin_pb2
from kuji.auth.v1 import auth_pb2
from kuji.blindbox.v1 import blindbox_pb2
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2
from redis.asyncio import Redis

from services.common.status import error_info_of
from services.common.tasks import pause
from tests.support.full_database import EMPTY, FILL, execute
from tests.support.history import eventually
from tests.support.house import House, open_activity, open_goods, open_house
from tests.support.proxy import Proxy

UNITS = 1_000_000
CALL_S = 15.0
PAUSE_S = 0.05  # between calls of a kind; the machine is not to be filled by them
KINDS = ("draw", "order", "edit", "block", "read", "log in")
# An edit may also meet CONFLICT: one before it, whose outcome the recorder has yet to settle.
TRUE_REASONS = {"OK", "UNAVAILABLE", "OVERLOADED"}
END_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name <> 'house'
"""
Fault = Callable[[House], AbstractAsyncContextManager[None]]
_names = itertools.count(1)


@pytest.fixture(scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, postgres_server: str
) -> AsyncIterator[House]:
    """All services, on a database of their own and an empty Redis."""
    async with AsyncExitStack() as stack:
        await (await stack.enter_async_context(Redis.from_url(redis_url))).flushall()
        dsn = await stack.enter_async_context(_database(postgres_server))
        folder = tmp_path_factory.mktemp("house")
        yield await stack.enter_async_context(open_house(folder, redis_url, dsn))


@asynccontextmanager
async def _database(server: str) -> AsyncIterator[str]:
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute("CREATE DATABASE outages TEMPLATE migrated_template")
    try:
        yield f"{server}/outages"
    finally:
        await connection.execute("DROP DATABASE outages WITH (FORCE)")
        await connection.close()


@dataclass
class Callers:
    """
    Calls of every kind, one after the other in each kind, until stop() is awaited.

    Args:
        told: By kind: how often each reason was told.
        draws: Request ids whose draw was answered.
        orders: Numbers of the orders that were answered.
        rounds: By kind: successes; a test waits for more of them.
    """

    house: House
    activity_id: int
    prize_id: int
    goods_id: int
    user: auth_pb2.Session
    admin: str
    service: str
    told: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    draws: dict[str, str] = field(default_factory=dict)
    orders: dict[str, int] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Call from now on."""
        kinds: Sequence[Callable[[], Awaitable[None]]] = [
            self._draw,
            self._order,
            self._edit,
            self._block,
            self._read,
            self._log_in,
        ]
        self.tasks = [asyncio.ensure_future(_for_ever(kind)) for kind in kinds]

    async def stop(self) -> None:
        """End the calls; what one of them raised is raised."""
        for task in self.tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self.tasks, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError) and isinstance(outcome, Exception):
                raise outcome

    async def go_well(self) -> None:
        """Return once calls of every kind succeed, some time after this moment."""
        wanted = {kind: self.told[kind]["OK"] + 2 for kind in KINDS}

        async def do() -> bool:
            return all(self.told[kind]["OK"] >= count for kind, count in wanted.items())

        await eventually(do, timeout_s=90)

    async def _call(self, kind: str, method: Any, request: Any, token: str) -> Any:
        """The answer; None where there was none, and its reason is counted."""
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            answer = await method(request, timeout=CALL_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            info = error_info_of(error)
            self.told[kind][info.reason if info else f"bare {error.code().name}"] += 1
            if info is not None and info.reason in TRUE_REASONS:
                assert int(info.metadata["retry_after_ms"]) > 0
            await asyncio.sleep(PAUSE_S)
            return None
        self.told[kind]["OK"] += 1
        return answer

    async def _draw(self) -> None:
        request = draw_pb2.DrawRequest(
            activity_id=self.activity_id, request_id=f"draw-{next(_names)}"
        )
        stub = self.house.stub("Draw")
        while (answer := await self._draws(stub.Draw, request)) is None:
            pass
        self.draws[request.request_id] = answer.result.draw_id

    async def _draws(self, method: Any, request: draw_pb2.DrawRequest) -> Any:
        return await self._call("draw", method, request, self.user.access_token)

    async def _order(self) -> None:
        request = blindbox_pb2.PlaceOrderRequest(
            order_num=f"order-{next(_names)}",
            user_id=self.user.user_id,
            goods_id=self.goods_id,
            num=1,
            count=2,
        )
        method = self.house.stub("BlindBox").PlaceOrder
        while (answer := await self._call("order", method, request, self.service)) is None:
            pass
        self.orders[request.order_num] = len(answer.results)

    async def _edit(self) -> None:
        request = admin_pb2.UpdatePrizeRequest(
            prize_id=self.prize_id, total_count=UNITS + next(_names)
        )
        await self._call("edit", self.house.stub("Admin").UpdatePrize, request, self.admin)

    async def _block(self) -> None:
        stub = self.house.stub("Admin")
        create = admin_pb2.CreateBlockRequest(user_id=1, reason="a test")
        made = await self._call("block", stub.CreateBlock, create, self.admin)
        if made is not None:
            lift = admin_pb2.DeleteBlockRequest(block_id=made.block.block_id)
            await self._call("block", stub.DeleteBlock, lift, self.admin)

    async def _read(self) -> None:
        stub, token = self.house.stub("History"), self.user.access_token
        draws = history_pb2.ListUserDrawsRequest(page=1, page_size=5)
        await self._call("read", stub.ListUserDraws, draws, token)
        await self._call("read", stub.ListWinners, history_pb2.ListWinnersRequest(), "")
        if self.draws:
            newest = next(reversed(self.draws.values()))
            result = history_pb2.GetResultRequest(draw_id=newest)
            await self._call("read", stub.GetResult, result, token)

    async def _log_in(self) -> None:
        stub = self.house.stub("Auth")
        request = auth_pb2.LoginRequest(username="alice", password="correct horse")
        session = await self._call("log in", stub.Login, request, "")
        if session is not None:
            profile = auth_pb2.GetProfileRequest()
            token = session.session.access_token
            await self._call("log in", stub.GetProfile, profile, token)


async def _for_ever(kind: Callable[[], Awaitable[None]]) -> None:
    while True:
        await kind()
        await asyncio.sleep(PAUSE_S)


@pytest.fixture(scope="module")
async def opened(house: House) -> Callers:
    """Something to draw, to buy, to edit and to read, and who does so."""
    user, admin = await house.register("alice"), await house.admin_token()
    activity_id, prize_id = await open_activity(house, admin, UNITS)
    goods_id = await open_goods(house, admin)
    service = await house.service_token()
    return Callers(house, activity_id, prize_id, goods_id, user, admin, service)


@pytest.fixture
async def callers(opened: Callers) -> AsyncIterator[Callers]:
    """They call, all goes well, and what they were told is forgotten."""
    opened.start()
    await opened.go_well()
    opened.told.clear()
    yield opened
    await opened.stop()


@asynccontextmanager
async def again_and_again(do: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Have it done some fifty times a second."""

    async def storm() -> None:
        while True:
            await do()
            await pause(0.02)

    task = asyncio.ensure_future(storm())
    yield
    task.cancel()
    await asyncio.wait([task])


def reset(gate: str) -> Fault:
    """Connections are reset again and again, whatever is being said."""
    return lambda house: again_and_again(getattr(house, gate).reset)


def gated(gate: str, order: Callable[[Proxy], object]) -> Fault:
    """What *order* tells the proxy, until it is told to resume."""

    @asynccontextmanager
    async def fault(house: House) -> AsyncIterator[None]:
        proxy: Proxy = getattr(house, gate)
        ordered = order(proxy)
        if isinstance(ordered, Awaitable):
            await ordered
        yield
        proxy.resume()

    return fault


@asynccontextmanager
async def redis_full(house: House) -> AsyncIterator[None]:
    """OOM."""
    await house.redis.config_set("maxmemory", "1mb")
    yield
    await house.redis.config_set("maxmemory", "0")


@asynccontextmanager
async def redis_read_only(house: House) -> AsyncIterator[None]:
    """READONLY: a replica, of a primary that is not there."""
    await house.redis.replicaof("127.0.0.1", "1")
    yield
    await house.redis.replicaof("NO", "ONE")


@asynccontextmanager
async def redis_busy(house: House) -> AsyncIterator[None]:
    """BUSY: somebody's script does not end."""
    await house.redis.config_set("busy-reply-threshold", "50")
    async with Redis.from_url(house.redis_url) as other:
        script = asyncio.ensure_future(other.eval("while true do end", 0))
        yield
        await house.redis.script_kill()
        await asyncio.wait([script])
        script.exception()
    await house.redis.config_set("busy-reply-threshold", "5000")


@asynccontextmanager
async def postgres_read_only(house: House) -> AsyncIterator[None]:
    """25006: a standby, of all databases of the server."""
    await house.postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    await house.postgres.execute("SELECT pg_reload_conf()")
    yield
    await house.postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
    await house.postgres.execute("SELECT pg_reload_conf()")


@asynccontextmanager
async def postgres_full(house: House) -> AsyncIterator[None]:
    """53100, whatever is written."""
    await execute(house.postgres, FILL)
    yield
    await execute(house.postgres, EMPTY)


def postgres_shuts_down(house: House) -> AbstractAsyncContextManager[None]:
    """57P01: every connection is ended by an administrator, again and again."""
    return again_and_again(lambda: house.postgres.execute(END_CONNECTIONS))


def frozen(service: str) -> Fault:
    """The service's process is stopped."""
    return lambda house: house.stopped(service)


FAULTS: dict[str, tuple[Fault, float]] = {
    "redis: reset": (reset("redis_gate"), 2),
    "redis: reset as it is written to": (gated("redis_gate", lambda p: p.reset_on(b"EVALSHA")), 1),
    "redis: gone": (gated("redis_gate", Proxy.refuse), 1.5),
    "redis: frozen": (gated("redis_gate", Proxy.freeze), 2.5),
    "redis: slow": (gated("redis_gate", lambda proxy: proxy.throttle(2000)), 2),
    "redis: full": (redis_full, 1),
    "redis: read-only": (redis_read_only, 1),
    "redis: busy": (redis_busy, 1.5),
    "postgres: reset": (reset("postgres_gate"), 2),
    "postgres: gone": (gated("postgres_gate", Proxy.refuse), 1.5),
    "postgres: frozen": (gated("postgres_gate", Proxy.freeze), 6),
    "postgres: slow": (gated("postgres_gate", lambda proxy: proxy.throttle(2000)), 2),
    "postgres: read-only": (postgres_read_only, 1.5),
    "postgres: full": (postgres_full, 1.5),
    "postgres: shuts down": (postgres_shuts_down, 1.5),
    "auth: frozen": (frozen("auth"), 2),
    "recorder: frozen": (frozen("recorder"), 1),
}


@pytest.mark.parametrize(("fault", "seconds"), FAULTS.values(), ids=FAULTS)
async def test_outage_costs_patience_and_nothing_else(
    callers: Callers, fault: Fault, seconds: float
) -> None:
    """No INTERNAL, no bare status, no process ended, no pool halted; and then all is well."""
    house = callers.house
    pids = {name: child.pid for name, child in house.children.items()}
    async with fault(house):
        await asyncio.sleep(seconds)
    await callers.go_well()
    await callers.stop()

    async def is_recorded() -> bool:
        return await house.unrecorded() == 0

    await eventually(is_recorded, timeout_s=90)
    untrue = {
        (kind, reason): count
        for kind, told in callers.told.items()
        for reason, count in told.items()
        if reason not in TRUE_REASONS and (kind, reason) != ("edit", "CONFLICT")
    }
    assert {} == untrue
    assert [] == await house.halted()
    assert [] == house.errors()
    assert dict.fromkeys(pids) == {
        name: child.exit_code() for name, child in house.children.items()
    }
    await _drawn_once(callers)


async def _drawn_once(callers: Callers) -> None:
    """Each answered draw is the record of its request; each answered order has its items."""
    rows = await callers.house.postgres.fetch(
        "SELECT request_id, pool_id, seq FROM lottery_records WHERE activity_id = $1",
        callers.activity_id,
    )
    found = Counter(row["request_id"] for row in rows)
    assert {1} == set(found.values())
    recorded = {row["request_id"]: f"{row['pool_id']}-{row['seq']}" for row in rows}
    assert callers.draws == {name: recorded[name] for name in callers.draws}
    orders = await callers.house.postgres.fetch(
        "SELECT order_num, count(order_items.*) AS items FROM orders"
        " LEFT JOIN order_items ON order_id = orders.id GROUP BY orders.id"
    )
    items = {row["order_num"]: row["items"] for row in orders}
    assert callers.orders == {name: items[name] for name in callers.orders}

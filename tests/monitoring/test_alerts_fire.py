"""
Each alarm fires when what it is for really happens: to real services, before a real Prometheus.

Alarms look back, and wait, for seconds instead of minutes; else their expressions are those that
operators load.
"""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import jwt
import pytest
import yaml
from kuji.admin.v1 import admin_pb2, approvals_pb2, approvals_pb2_grpc
from kuji.auth.v1 import auth_pb2
from kuji.blindbox.v1 import blindbox_pb2
from kuji.draw.v1 import draw_pb2
from redis.asyncio import Redis

from services.common.tasks import pause
from services.pool.store.keys import STOCK, key, ledger_key
from tests.support.command import run_kuji
from tests.support.history import eventually
from tests.support.house import SERVICES, open_activity, open_goods
from tests.support.monitoring import alerts, metric_rows, queries
from tests.support.prometheus import groups, problem, program
from tests.support.watched_house import WatchedHouse, going, open_watched_house, tried

Test = TypeVar("Test", bound=Callable[..., Any])
CAUSED: set[str] = set()
_LOCKED = "lottery_records, ended_generations, ended_sessions"
_LOG_ROOM = 48 << 10  # bytes; less than a file of marks takes, more than a log has


def causes(*alarms: str) -> Callable[[Test], Test]:
    """What the test makes fire."""
    CAUSED.update(alarms)

    def same(test: Test) -> Test:
        return test

    return same


@pytest.fixture(scope="module", autouse=True)
def _prometheus() -> None:
    """Skipped where it cannot be had; in CI it is fetched."""
    if found := problem():
        pytest.skip(found)


@pytest.fixture(scope="module")
async def watched(
    _prometheus: None,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    postgres_server: str,
) -> AsyncIterator[WatchedHouse]:
    """One for all tests, with a database of its own and an empty Redis."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(Redis.from_url(redis_url))
        await redis.flushall()
        stack.push_async_callback(redis.config_set, "maxmemory", 0)
        dsn = await stack.enter_async_context(_database(postgres_server))
        folder = tmp_path_factory.mktemp("watched")
        yield await stack.enter_async_context(open_watched_house(folder, redis_url, dsn))


@asynccontextmanager
async def _database(server: str) -> AsyncIterator[str]:
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute("CREATE DATABASE watched TEMPLATE migrated_template")
    try:
        yield f"{server}/watched"
    finally:
        await connection.execute("DROP DATABASE watched WITH (FORCE)")
        await connection.close()


async def _pool_of(watched: WatchedHouse, activity_id: int) -> int:
    statement = "SELECT pool_id FROM activities WHERE id = $1"
    return int(await watched.house.postgres.fetchval(statement, activity_id))


def test_rules_are_what_prometheus_takes(tmp_path: Path) -> None:
    """By its own tool, as they are and as they are here."""
    for faster in (1, 60):
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups(faster, faster)))
        command = (str(program("promtool")), "check", "rules", str(tmp_path / "rules.yaml"))
        done = os.spawnv(os.P_WAIT, command[0], command)
        assert 0 == done


def test_every_alarm_has_a_test_that_causes_it() -> None:
    """None is taken on trust."""
    assert {alert["alert"] for alert in alerts()} == CAUSED


async def test_nothing_fires_while_all_is_well(watched: WatchedHouse) -> None:
    """While draws are made; a busy machine may be slow at first."""
    made = 'sum(rate(kuji_draw_outcomes_total{outcome=~"win|miss"}[5s])) > 1'
    while not await watched.prometheus.query(made):
        await pause(0.2)
    await watched.prometheus.until_quiet(*CAUSED - {"KujiCertificateExpires"})


@causes("KujiCertificateExpires")
async def test_certificate_is_old(watched: WatchedHouse) -> None:
    """One that the edge has was good for a hundred days, and is for three more."""
    await watched.prometheus.until_fired("KujiCertificateExpires")


@causes("KujiDrawsFail", "KujiEdgeFails", "KujiWorkInterrupted", "KujiEdgeHasNoUpstream")
@causes("KujiPasswordsGuessed", "KujiRefreshTokensReused")
async def test_redis_is_away(watched: WatchedHouse) -> None:
    """Nobody draws; meanwhile somebody guesses passwords, and old tokens come back."""
    alarms = (
        "KujiDrawsFail",
        "KujiEdgeFails",
        "KujiWorkInterrupted",
        "KujiEdgeHasNoUpstream",
        "KujiPasswordsGuessed",
        "KujiRefreshTokensReused",
    )
    async with watched.expecting(*alarms):
        await watched.house.redis_gate.refuse()
        # Many at once: however slow the machine is, more than one a second are refused.
        guessing = watched.meanwhile(lambda: _at_once(partial(watched.log_in, "wrong"), 10), 0.05)
        try:
            async with going(guessing):
                await _reuse_refresh_tokens(watched)
                await watched.prometheus.until_fired(*alarms)
        finally:
            watched.house.redis_gate.resume()


async def _reuse_refresh_tokens(watched: WatchedHouse) -> None:
    stub = watched.house.stub("Auth")
    for number in range(15):
        session = await watched.house.register(f"robbed-{number}")
        spent = auth_pb2.RefreshRequest(refresh_token=session.refresh_token)
        await stub.Refresh(spent, timeout=5)
        await pause(0.02)
        await tried(stub.Refresh(spent, timeout=5))


@causes("KujiRecorderBehind", "KujiBacklogGrows", "KujiConnectionsScarce", "KujiCallsFail")
@causes("KujiConfirmationsSlow", "KujiEndedTokensUnheard", "KujiEventLoopLags")
async def test_postgres_is_held_up(watched: WatchedHouse) -> None:
    """A lock that stays: records wait, reads fail; and a process gets no time of its processor."""
    confirmed, _ = await open_activity(watched.house, watched.admin, 1000)
    edit = admin_pb2.UpdateActivityRequest(activity_id=confirmed, confirm="recorded")
    metadata = watched.metadata(watched.admin)
    await watched.house.stub("Admin").UpdateActivity(edit, timeout=10, metadata=metadata)
    while_locked = (
        "KujiRecorderBehind",
        "KujiBacklogGrows",
        "KujiConnectionsScarce",
        "KujiCallsFail",
        "KujiEndedTokensUnheard",
        "KujiEventLoopLags",
    )
    expecting = (
        watched.expecting("KujiConfirmationsSlow", patience_s=90),
        watched.expecting(*while_locked, patience_s=60),
    )
    async with expecting[0], expecting[1], _locked(watched, _LOCKED):
        await asyncio.gather(*(watched.draw(confirmed, f"confirm-{n}") for n in range(20)))
        await _draw_many(watched, 12_000)
        reads = watched.meanwhile(lambda: _at_once(watched.read, 30), 0.1)
        async with going(reads), watched.frozen("admin", 0.4):
            await watched.prometheus.until_fired(*while_locked)


async def _at_once(work: Callable[[], Awaitable[object]], times: int) -> None:
    await asyncio.gather(*(work() for _ in range(times)))


async def _draw_many(watched: WatchedHouse, draws: int) -> None:
    metadata = watched.metadata(await watched.house.service_token())
    batch = watched.house.stub("Draw").DrawBatch
    for first in range(0, draws, 400):
        wanted = [
            draw_pb2.BatchDraw(
                activity_id=watched.activity_id, user_id=5000 + number, request_id=f"many-{number}"
            )
            for number in range(first, first + 400)
        ]
        await batch(draw_pb2.DrawBatchRequest(draws=wanted), timeout=10, metadata=metadata)


@asynccontextmanager
async def _locked(watched: WatchedHouse, tables: str) -> AsyncIterator[None]:
    async with watched.house.postgres.acquire() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        yield


@causes("KujiDrawsSlow", "KujiDefect")
async def test_redis_is_slow(watched: WatchedHouse) -> None:
    """Draws take most of a second; and somebody has renamed a table."""
    postgres = watched.house.postgres
    approvals = approvals_pb2_grpc.ApprovalServiceStub(watched.house.channels["admin"])

    def listed() -> Any:
        request = approvals_pb2.ListApprovalsRequest()
        metadata = watched.metadata(watched.admin)
        return approvals.ListApprovals(request, timeout=5, metadata=metadata)

    async def hold_up() -> None:
        await watched.house.redis.client_pause(600)

    async with watched.expecting("KujiDrawsSlow", "KujiDefect"):
        await postgres.execute("ALTER TABLE approvals RENAME TO approvals_gone")
        try:
            held_up = watched.meanwhile(hold_up, 0.65)
            # One alone may fall between two looks of a Prometheus that gets no turn.
            listing = watched.meanwhile(lambda: tried(listed()), 0.5)
            async with going(held_up, listing):
                await watched.prometheus.until_fired("KujiDrawsSlow", "KujiDefect")
        finally:
            await postgres.execute("ALTER TABLE approvals_gone RENAME TO approvals")


@causes("KujiRecorderStopped", "KujiPartMissing", "KujiTargetMissing", "KujiKeysStale")
@causes("KujiBooksOff", "KujiPoolHalted")
async def test_recorder_and_auth_stand_still(watched: WatchedHouse) -> None:
    """Nothing is recorded, no key is told; somebody adds units and takes an entry of a ledger."""
    house = watched.house
    other, prize = await open_activity(house, watched.admin, 1000)
    pool_id = await _pool_of(watched, other)
    async with (
        watched.expecting("KujiPoolHalted"),
        watched.expecting(
            "KujiRecorderStopped",
            "KujiPartMissing",
            "KujiTargetMissing",
            "KujiKeysStale",
            "KujiBooksOff",
        ),
        house.stopped("recorder"),
        house.stopped("auth"),
    ):
        for number in range(3):
            await watched.draw(other, f"other-{number}")
            await pause(0.01)
        await _cut_out_an_entry(house.redis, pool_id)
        await house.redis.hincrby(key(pool_id, STOCK), str(prize), 2)
        await _call_with_an_unknown_key(watched)
        await watched.prometheus.until_fired("KujiRecorderStopped", "KujiKeysStale")
        await watched.prometheus.until_fired("KujiTargetMissing", "KujiBooksOff")


async def _cut_out_an_entry(redis: Redis, pool_id: int) -> None:
    entries: list[Any] = await redis.xrange(ledger_key(pool_id)) or []
    await redis.xdel(ledger_key(pool_id), entries[-2][0])


async def _call_with_an_unknown_key(watched: WatchedHouse) -> None:
    token = jwt.encode({"sub": "1"}, "x" * 32, headers={"kid": "nobody's"})
    request = draw_pb2.DrawRequest(activity_id=watched.activity_id)
    call = watched.house.stub("Draw").Draw
    await tried(call(request, timeout=5, metadata=watched.metadata(token)))


@causes("KujiStoreFull", "KujiStoreFills", "KujiClockOff", "KujiMarksUnwritten")
async def test_store_is_full_and_off(watched: WatchedHouse) -> None:
    """Redis has no memory left and tells a wrong time; the disk of the marks takes nothing."""
    redis = watched.house.redis
    used = int((await redis.info("memory"))["used_memory"])
    alarms = ("KujiStoreFull", "KujiStoreFills", "KujiClockOff")
    async with watched.expecting("KujiMarksUnwritten"):
        with _full_disk(watched):
            await watched.prometheus.until_fired("KujiMarksUnwritten")
    async with watched.expecting(*alarms):
        await redis.config_set("maxmemory", int(used * 1.05))
        watched.house.redis_gate.shift_clock(2 * 86_400)
        try:
            await watched.prometheus.until_fired(*alarms)
        finally:
            watched.house.redis_gate.resume()
            await redis.config_set("maxmemory", 0)


@contextmanager
def _full_disk(watched: WatchedHouse) -> Iterator[None]:
    """No file of the draw process may grow beyond what its log has; those of its marks are gone."""
    pid, without = watched.pid("draw"), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (_LOG_ROOM, resource.RLIM_INFINITY))
    for file in watched.marks.glob("*.marks"):
        os.truncate(file, 0)
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, without)


@causes("KujiPoolsBehind", "KujiOrdersStuck", "KujiUnitsHeld")
async def test_redis_is_lost_with_draws_that_are_not_recorded(watched: WatchedHouse) -> None:
    """Its pools are refused; after `kuji rebuild` units are held back until somebody decides."""
    house = watched.house
    goods_id = await open_goods(house, watched.admin)
    token = await house.service_token()
    order = blindbox_pb2.PlaceOrderRequest(
        order_num="hangs", user_id=watched.user.user_id, goods_id=goods_id, num=1, count=1
    )
    place = house.stub("BlindBox").PlaceOrder
    lost = ("KujiPoolsBehind", "KujiOrdersStuck")
    async with watched.expecting("KujiUnitsHeld"):
        async with watched.expecting(*lost), house.stopped("recorder"):
            await _at_once(lambda: watched.draw(watched.activity_id), 50)
            await _marks_told(watched)
            await house.redis.flushall()
            await tried(place(order, timeout=5, metadata=watched.metadata(token)))
            await watched.prometheus.until_fired(*lost)
        ran = await run_kuji(
            "rebuild",
            KUJI_REDIS_URL=house.redis_url,
            KUJI_POSTGRES_DSN=watched.postgres_dsn,
        )
        assert 0 == ran.code, ran


async def _marks_told(watched: WatchedHouse) -> None:
    """Return once Postgres knows of more draws than are recorded."""
    statement = """
        SELECT m.seq > p.recorded_seq + 20 FROM pools p JOIN pool_marks m ON m.pool_id = p.id
        WHERE p.id = $1
    """
    pool_id = await _pool_of(watched, watched.activity_id)
    while not await watched.house.postgres.fetchval(statement, pool_id):
        await pause(0.05)


async def test_parts_export_what_the_runbook_says(watched: WatchedHouse) -> None:
    """Each metric by the parts that its row names; one with labels may not have come up in all."""
    rows = {
        name: (set(SERVICES) if of == "all" else set(of.split(", ")), labels)
        for name, labels, of in metric_rows()
        if not of.endswith(" with traces")  # there are none here
    }
    wrong: dict[str, set[str]] = {}

    async def is_so() -> bool:
        found = await _exported(watched)
        wrong.clear()
        wrong.update(
            (name, parts)
            for name, (expected, labels) in rows.items()
            if (parts := found.get(name, set())) - expected or (not labels and parts != expected)
        )
        wrong.update((name, found[name]) for name in found.keys() - rows.keys())
        return not wrong

    with suppress(TimeoutError):  # a part that has just stood still is missing for a moment
        await eventually(is_so)
    assert {} == wrong


async def _exported(watched: WatchedHouse) -> dict[str, set[str]]:
    """Metric → the parts that have it."""
    counted = await watched.prometheus.query(
        'count by (component, __name__) ({__name__=~"kuji_.+", __name__!~".+_(sum|count|created)"})'
    )
    found: dict[str, set[str]] = {}
    for one in counted:
        name = one["metric"]["__name__"].removesuffix("_bucket")
        found.setdefault(name, set()).add(one["metric"]["component"])
    return found


async def test_queries_are_what_prometheus_takes(watched: WatchedHouse) -> None:
    """Each of the dashboards, and most of them have had something to show by now."""
    hidden = {query.place: query.expr.replace("[1m]", "[1h]") for query in queries()}
    most = len(hidden) / 3

    async def are_shown() -> bool:
        for place, expr in tuple(hidden.items()):
            if await watched.prometheus.query(expr):
                del hidden[place]
        return len(hidden) < most

    with suppress(TimeoutError):
        await eventually(are_shown)
    assert len(hidden) < most, list(hidden)

"""The running service against the pure engine: the same answers, the same books, every step."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import grpc
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from kuji.draw.v1 import draw_pb2, pool_pb2
from redis.asyncio import Redis

from services.common.status import error_info_of
from services.draw.code_key import CodeKey
from services.pool.configuration import config_of
from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.rule import engine, fairness
from services.pool.rule.prize_code import prize_code
from services.pool.rule.terms import (
    Answer,
    ConfigureCode,
    DrawCode,
    Intent,
    PoolConfig,
    PoolStatus,
    Quota,
)
from services.pool.seeds import SeedCipher
from services.pool.store.keys import ledger_key
from tests.support.draw_service import SEED_KEY, Valkey, World, open_world, own_valkey
from tests.support.draws import CODE_KEY, NO_BACKLOG_BOUND, stocks_of

T = TypeVar("T")
HOUR_MS = 3_600_000

USERS, REQUESTS = st.integers(1, 5), st.sampled_from(["a", "b", "c", "d"])
ELEMENTS = st.lists(st.tuples(USERS, REQUESTS), min_size=1, max_size=10)
REPLICAS = st.sampled_from([0, 1])
MODES = st.sampled_from(
    [pool_pb2.POOL_MODE_ODDS, pool_pb2.POOL_MODE_TICKETS, pool_pb2.POOL_MODE_WEIGHTS]
)
STATUSES = st.sampled_from(
    [*[pool_pb2.POOL_STATUS_OPEN] * 8, pool_pb2.POOL_STATUS_PAUSED, pool_pb2.POOL_STATUS_ENDED]
)
UNITS, WEIGHTS = st.integers(0, 6), st.integers(1, 300_000_000)


def _noon_offset_minutes() -> int:
    """Where it is about noon: no day ends while the test runs."""
    minutes = int(time.time() // 60) % 1440
    return (720 - minutes + 720) % 1440 - 720


@st.composite
def limits(draw: st.DrawFn) -> pool_pb2.UserLimits:
    """Some limits; a cooldown either ends at once or outlasts the test."""
    return pool_pb2.UserLimits(
        cooldown_ms=draw(st.sampled_from([0, 0, 0, HOUR_MS])),
        draws_per_user=draw(st.sampled_from([0, 0, 3, 8])),
        draws_per_day=draw(st.sampled_from([0, 0, 4])),
        wins_per_user=draw(st.sampled_from([0, 0, 2])),
        day_offset_minutes=_noon_offset_minutes(),
    )


@st.composite
def changes(draw: st.DrawFn, config: pool_pb2.PoolConfig) -> pool_pb2.PoolConfig:
    """What an operator may make of *config*."""
    changed = pool_pb2.PoolConfig()
    changed.CopyFrom(config)
    changed.status = draw(STATUSES)
    changed.limits.CopyFrom(draw(limits()))
    for prize in changed.prizes:
        prize.units, prize.weight = draw(UNITS), draw(WEIGHTS)
        prize.enabled = draw(st.sampled_from([True, True, True, False]))
        prize.retired |= draw(st.sampled_from([False] * 7 + [True]))
        prize.wins_per_user = draw(st.sampled_from([0, 0, 0, 1]))
    return changed


class Rig:
    """Two replicas on one Redis that can be killed, and the loop that they run on."""

    def __init__(self, runner: asyncio.Runner, world: World, valkey: Valkey, redis: Redis) -> None:
        self._runner = runner
        self.world = world
        self.valkey = valkey
        self.redis = redis

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await *work*."""
        return self._runner.run(work)

    async def forget_scripts(self) -> None:
        """As a failover does."""
        await self.redis.script_flush()

    async def crash(self) -> None:
        """kill -9, and a start on what the disk has."""
        self.valkey.kill()
        await self.redis.connection_pool.disconnect()
        await self.valkey.start_again()

    async def seed(self, pool_id: int) -> bytes:
        """The pool's seed, as the draw service alone can read it."""
        encrypted = await self.world.postgres.fetchval(
            "SELECT encrypted_seed FROM pool_seeds WHERE pool_id = $1", pool_id
        )
        return SeedCipher(SEED_KEY).decrypt(pool_id, encrypted)

    async def drawn(self, pool_id: int) -> list[tuple[int, str, int]]:
        """(user id, request id, prize id) of the whole ledger, in order."""
        raw: Any = await self.redis.xrange(ledger_key(pool_id))
        entries = [decode_entry(*one) for one in raw]
        draws = [draw for one in entries if isinstance(one, DrawEntry) for draw in one.draws]
        return [(draw.user_id, draw.request_id.decode(), draw.prize_id) for draw in draws]


@asynccontextmanager
async def open_rig(runner: asyncio.Runner, dsn: str, folder: Path) -> AsyncIterator[Rig]:
    """A rig over a database of its own."""
    async with (
        own_valkey(folder) as valkey,
        asyncpg.create_pool(dsn, min_size=0) as postgres,
        # Its files tell for certain that the store is the newest, so ids go on without a gap.
        open_world(postgres, dsn, valkey.url, valkey.url, marks_folder=folder / "marks") as world,
        Redis.from_url(valkey.url) as redis,
    ):
        yield Rig(runner, world, valkey, redis)


class Service(RuleBasedStateMachine):
    """Draws, batches, retries, changes and crashes, on the service and on the model."""

    rig: Rig

    @initialize(
        mode=MODES,
        prizes=st.lists(st.tuples(UNITS, WEIGHTS), min_size=1, max_size=3),
        first=limits(),
    )
    def open_activity(
        self, mode: int, prizes: list[tuple[int, int]], first: pool_pb2.UserLimits
    ) -> None:
        self.has_crashed = False
        self.answered: dict[int, tuple[Any, ...]] = {}
        self.activity = self.run(self.rig.world.activity(*prizes, mode=mode, limits=first))
        self.pool_id = self.activity.pool_id
        self.roller = fairness.Roller(self.run(self.rig.seed(self.pool_id)), self.pool_id)
        self.codes = CodeKey(CODE_KEY).of_pool(self.pool_id)
        self.model = engine.PoolState()
        config = config_of(self.activity.config)
        engine.configure(self.model, 0, self.activity.version, config)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.rig.run(work)

    @rule(elements=ELEMENTS, replica=REPLICAS)
    def draw_batch(self, elements: list[tuple[int, str]], replica: int) -> None:
        draws = [(self.activity.activity_id, *one) for one in elements]
        outcomes = self.run(self.rig.world.service(replica).batch(*draws))
        told = [_result(one.result) if one.HasField("result") else _error(one) for one in outcomes]
        assert self.expected(elements) == told

    @rule(user_id=USERS, name=REQUESTS, replica=REPLICAS)
    def draw_once(self, user_id: int, name: str, replica: int) -> None:
        told = self.run(self._drawn_once(user_id, name, replica))
        assert self.expected([(user_id, name)]) == [told]

    async def _drawn_once(self, user_id: int, name: str, replica: int) -> tuple[Any, ...]:
        try:
            caller = self.rig.world.user(user_id, replica)
            return _result(await caller.draw(self.activity.activity_id, name))
        except grpc.aio.AioRpcError as error:
            return _refused(error)

    def expected(self, elements: Sequence[tuple[int, str]]) -> list[tuple[Any, ...]]:
        """What the model answers to *elements*, drawn in one step."""
        now_ms = int(time.time() * 1000)
        intents = [self._intent(*one) for one in elements]
        drawing = engine.draw(self.model, intents, now_ms, 0, NO_BACKLOG_BOUND)
        pairs = zip(elements, drawing.answers, strict=True)
        return [self._expected(*element, answer, drawing.version) for element, answer in pairs]

    def _intent(self, user_id: int, name: str) -> Intent:
        digest, roll = fairness.request_digest(user_id, name), self.roller.roll(user_id, name, 0)
        return Intent(user_id, name, digest, 1, roll, self.codes.codes(user_id, name, 1))

    def _expected(self, user_id: int, name: str, answer: Answer, version: int) -> tuple[Any, ...]:
        if answer.code is DrawCode.REPLAYED:
            return (*self.answered[answer.first_seq], answer.draws_left, True)
        if answer.code is not DrawCode.DRAWN:
            return _refusal(answer)
        prize_id, _, weight, total, code_bytes = answer.draws[0]
        code = prize_code(self.pool_id, answer.first_seq, code_bytes) if prize_id else ""
        draw_id = f"{self.pool_id}-{answer.first_seq}"
        drawn = (draw_id, name, prize_id, code, weight, total, version)
        self.answered[answer.first_seq] = drawn
        return (*drawn, answer.draws_left, False)

    @rule(data=st.data(), replica=REPLICAS)
    def change(self, data: st.DataObject, replica: int) -> None:
        self.publish(data.draw(changes(self.activity.config)), self.activity.version, replica)

    @rule(data=st.data(), replica=REPLICAS)
    def change_late(self, data: st.DataObject, replica: int) -> None:
        self.publish(data.draw(changes(self.activity.config)), self.activity.version - 1, replica)

    def publish(self, message: pool_pb2.PoolConfig, expected_version: int, replica: int) -> None:
        version = self.run(self.rig.world.postgres.fetchval("SELECT nextval('pool_versions_seq')"))
        request = pool_pb2.PublishPoolRequest(
            pool_id=self.pool_id, version=version, expected_version=expected_version, config=message
        )
        told = self.run(self._published(request, replica))
        assert self._expected_change(version, expected_version, config_of(message)) == told
        if isinstance(told, list):
            self.activity.version, self.activity.config = version, message

    async def _published(self, request: pool_pb2.PublishPoolRequest, replica: int) -> Any:
        try:
            answer = await self.rig.world.service(replica)(request)
        except grpc.aio.AioRpcError as error:
            return _refused(error)
        return sorted((one.prize_id, one.units, one.remaining) for one in answer.stocks)

    def _expected_change(self, version: int, expected_version: int, config: PoolConfig) -> Any:
        configured = engine.configure(self.model, expected_version, version, config)
        match configured.code:
            case ConfigureCode.CONFIGURED:
                return sorted(tuple(stock) for stock in configured.stocks)
            case ConfigureCode.CONFLICT:
                return "CONFLICT", {"live_version": str(configured.detail)}
            case ConfigureCode.UNITS_BELOW_WON:
                told = {"prize_id": str(configured.detail), "won": str(configured.won)}
                return "UNITS_BELOW_WON", told
            case ConfigureCode.ENDED:
                return "INVALID_ARGUMENT", {"field": "status"}
        raise AssertionError(f"a change gave {configured}")

    @rule()
    def forget_scripts(self) -> None:
        self.run(self.rig.forget_scripts())

    @precondition(lambda self: not self.has_crashed)
    @rule()
    def crash_redis(self) -> None:
        self.has_crashed = True
        self.run(self.rig.crash())

    @invariant()
    def books_are_the_same(self) -> None:
        if not hasattr(self, "model"):
            return
        live = self.run(self.rig.world.state(self.activity))
        assert live is not None
        stocks = sorted((one.prize_id, one.units, one.remaining) for one in live.stocks)
        assert [tuple(stock) for stock in stocks_of(self.model)] == stocks
        assert (self.model.version, self.model.seq, len(self.model.users)) == (
            live.version,
            live.last_seq,
            live.unique_users,
        )

    def teardown(self) -> None:
        if hasattr(self, "model"):
            drawn = self.run(self.rig.drawn(self.pool_id))
            assert len(drawn) == self.model.seq
            assert {seq: one[1:3] for seq, one in self.answered.items()} == {
                seq: drawn[seq - 1][1:] for seq in self.answered
            }


def _result(result: draw_pb2.DrawResult) -> tuple[Any, ...]:
    return (
        result.draw_id,
        result.request_id,
        result.prize.prize_id,
        result.prize.prize_code,
        result.odds_weight,
        result.odds_total,
        result.pool_version,
        result.draws_left if result.HasField("draws_left") else -1,
        result.replayed,
    )


def _told(reason: str, metadata: dict[str, str]) -> tuple[Any, ...]:
    metadata.pop("retry_after_ms", None)  # tells of the clock
    return reason, metadata


def _error(outcome: draw_pb2.DrawOutcome) -> tuple[Any, ...]:
    return _told(outcome.error.reason, dict(outcome.error.metadata))


def _refused(error: grpc.aio.AioRpcError) -> tuple[Any, ...]:
    info = error_info_of(error)
    if info is None:
        raise error
    return _told(info.reason, dict(info.metadata))


def _refusal(answer: Answer) -> tuple[Any, ...]:
    match answer.code:
        case DrawCode.NOT_ONGOING:
            return "ACTIVITY_NOT_ONGOING", {"status": PoolStatus(answer.detail).name.lower()}
        case DrawCode.QUOTA_SPENT:
            return "QUOTA_SPENT", {"quota": Quota(answer.detail).name.lower()}
        case DrawCode.SOLD_OUT:
            return "SOLD_OUT", {"remaining": str(answer.detail)}
    return answer.code.name, {}


def test_service_and_engine_follow_the_same_rule(postgres_dsn: str, tmp_path: Path) -> None:
    """P6, P7, L2, X1, X2, X5: whatever happens, crashes included, both answer alike."""
    with asyncio.Runner() as runner:
        rig = open_rig(runner, postgres_dsn, tmp_path)
        Service.rig = runner.run(rig.__aenter__())
        try:
            machine = Service.TestCase()
            # No shrinking: the service makes fresh seeds, and a failure should not take minutes.
            machine.settings = settings(  # type: ignore[misc]
                max_examples=40,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                phases=(Phase.explicit, Phase.generate),
            )
            machine.runTest()
        finally:
            runner.run(rig.__aexit__(None, None, None))

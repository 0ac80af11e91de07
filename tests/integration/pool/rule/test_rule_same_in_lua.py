"""The script in Redis against the pure engine: the same answers, the same state, every step."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from services.pool.rule.clock import ANY_TIME, BOUND_US, ClockSpan
from services.pool.rule.selection import Mode
from services.pool.rule.terms import (
    NO_TICKET,
    ConfigureCode,
    Confirm,
    DrawTicket,
    Intent,
    Opening,
    PoolConfig,
    PoolStatus,
    PrizeConfig,
    TicketPolicy,
)
from services.pool.store.redis_store import ClockOffError, RedisStore
from tests.support.clocks import follow_set_clock, set_clock
from tests.support.draws import NO_BACKLOG_BOUND, MemoryStore, intent, stocks_of

POOL = 1
T = TypeVar("T")

USERS = st.integers(1, 6)
REQUESTS = st.sampled_from(["a", "b", "c", "d", "e"])
INTENTS = st.lists(
    st.builds(intent, USERS, REQUESTS, st.sampled_from([1, 1, 1, 2, 5])), min_size=1, max_size=12
)
# Without an opening: none; as an offset from the opening that there is, and from now.
TICKETS = st.lists(
    st.sampled_from(
        [
            None,
            None,
            NO_TICKET,
            DrawTicket(0, 0, 1, 0, 0),
            DrawTicket(0, -5, 30_000, 8, 9),
            DrawTicket(0, 1, 30_000, 0, 0),
            DrawTicket(0, -30_000, 0, 0, 0),
            DrawTicket(-1, 0, 30_000, 0, 0),
            DrawTicket(0, 0, 30_000, 8, 7),
        ]
    ),
    min_size=12,
    max_size=12,
)
POLICIES = st.builds(TicketPolicy, st.booleans(), st.integers(0, 32), st.sampled_from([0, 5000]))
_DAY_US = 86_400_000_000
NOON_US = 20_000 * _DAY_US + _DAY_US // 2
# Forward as it goes, to the next day and past several, and back within and beyond the bound.
JUMPS_US = st.sampled_from(
    [1, 1000, 60_000_000, _DAY_US // 2, _DAY_US, 3 * _DAY_US, 0, -1, -BOUND_US, -2 * BOUND_US]
)
LIMITS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "cooldown_ms": st.sampled_from([0, 1, 60_000]),
        "protection_ms": st.sampled_from([0, 0, 1, 60_000]),
        "draws_per_user": st.integers(0, 8),
        "draws_per_day": st.integers(0, 8),
        "wins_per_user": st.integers(0, 4),
        "day_offset_ms": st.sampled_from([0, 9 * 3_600_000, -12 * 3_600_000, 48 * 3_600_000]),
        "confirm": st.sampled_from(Confirm),
        "draw_tickets": POLICIES,
        "status": st.sampled_from(
            [*[PoolStatus.OPEN] * 9, PoolStatus.PAUSED, PoolStatus.PAUSED, PoolStatus.ENDED]
        ),
    },
)


@st.composite
def pool_configs(draw: st.DrawFn) -> PoolConfig:
    """A fresh pool of any mode."""
    mode = draw(st.sampled_from(Mode))
    unlimited = draw(st.booleans()) and mode is Mode.WEIGHTS
    prizes = [
        PrizeConfig(
            prize_id,
            units=draw(st.integers(0, 6)),
            weight=draw(st.integers(0, 300_000_000)),
            enabled=draw(st.sampled_from([True, True, True, False])),
            wins_per_user=draw(st.sampled_from([0, 0, 1, 2])),
        )
        for prize_id in range(1, draw(st.integers(1, 3)) + 1)
    ]
    if unlimited:
        prizes.append(PrizeConfig(50, units=-1, weight=draw(st.integers(1, 1000))))
    if mode is Mode.TICKETS and draw(st.booleans()):
        prizes.append(PrizeConfig(99, units=1, last_prize=True))
    return PoolConfig(mode, tuple(prizes), **draw(LIMITS))


@st.composite
def changed(draw: st.DrawFn, config: PoolConfig) -> PoolConfig:
    """A pool's next configuration: units, odds, enabling, retiring, limits, status."""
    prizes = tuple(
        PrizeConfig(
            prize.prize_id,
            units=prize.units if prize.units < 0 else draw(st.integers(0, 12)),
            weight=draw(st.integers(1, 300_000_000)),
            enabled=draw(st.booleans()),
            wins_per_user=prize.wins_per_user,
            retired=prize.retired or draw(st.sampled_from([False, False, False, True])),
            last_prize=prize.last_prize,
        )
        for prize in config.prizes
    )
    return PoolConfig(config.mode, prizes, **draw(LIMITS))


def at(opening: Opening, ticket: DrawTicket | None) -> DrawTicket | None:
    """*ticket*, whose times are offsets, in *opening*."""
    if ticket in (None, NO_TICKET):
        return ticket
    assert ticket is not None
    return ticket._replace(
        opening_ms=opening.opening_ms + ticket.opening_ms,
        not_before_ms=opening.now_ms + ticket.not_before_ms,
        expires_ms=opening.now_ms + ticket.expires_ms,
    )


class SameRule(RuleBasedStateMachine):
    """Random draws, retries, changes, script losses and clocks, on both at once."""

    redis_url: str

    @initialize(config=pool_configs())
    def open_pool(self, config: PoolConfig) -> None:
        self.runner = asyncio.Runner()
        self.redis = Redis.from_url(self.redis_url)
        self.model = MemoryStore()
        self.store = follow_set_clock(
            RedisStore(self.redis, NO_BACKLOG_BOUND, believed=lambda: self.model.believed)
        )
        self.version = self.live_version = 0
        self.config = config
        self.run(self.flush())
        self.set_time(NOON_US)
        self.apply(config)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def flush(self) -> None:
        await self.redis.flushall()

    async def forget_scripts(self) -> None:
        await self.redis.script_flush()

    def set_time(self, us: int) -> None:
        self.model.server_us = us
        self.run(set_clock(self.redis, us))

    async def told(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What *work* gives; None: the clock is off."""
        try:
            return await work
        except ClockOffError:
            return None

    def apply(self, config: PoolConfig, stale: bool = False) -> None:
        self.version += 1
        change = (POOL, self.live_version - stale, self.version, config, "{}")
        live = self.run(self.store.configure(*change))
        model = self.run(self.model.configure(*change))
        assert (model.code, model.seq, model.clock_us) == (live.code, live.seq, live.clock_us)
        assert sorted(model.stocks) == sorted(live.stocks)
        if live.code is ConfigureCode.CONFIGURED:
            self.config, self.live_version = config, self.version

    @rule(intents=INTENTS, tickets=TICKETS)
    def draw(self, intents: list[Intent], tickets: list[DrawTicket | None]) -> None:
        opening = self.run(self.told(self.model.opening(POOL)))
        assert opening == self.run(self.told(self.store.opening(POOL)))
        if opening is not None:
            pairs = zip(intents, tickets, strict=False)
            intents = [one._replace(draw_ticket=at(opening, ticket)) for one, ticket in pairs]
        live = self.run(self.store.draw(POOL, intents))
        model = self.run(self.model.draw(POOL, intents))
        assert (model.version, model.confirm, model.now_ms, model.clock_us) == (
            live.version,
            live.confirm,
            live.now_ms,
            live.clock_us,
        )
        for mine, theirs in zip(model.answers, live.answers, strict=True):
            assert (mine.code, mine.first_seq, mine.places, list(mine.draws), mine.detail) == (
                theirs.code,
                theirs.first_seq,
                theirs.places,
                list(theirs.draws),
                theirs.detail,
            )
            assert (mine.draws_left, mine.next_ms) == (theirs.draws_left, theirs.next_ms)

    @rule(user_id=USERS, request_id=REQUESTS)
    def void(self, user_id: int, request_id: str) -> None:
        digest = intent(user_id, request_id).digest
        live = self.run(self.told(self.store.void(POOL, digest, 1)))
        assert live == self.run(self.told(self.model.void(POOL, digest, 1)))

    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        self.apply(data.draw(changed(self.config)))

    @rule(data=st.data())
    def change_late(self, data: st.DataObject) -> None:
        self.apply(data.draw(changed(self.config)), stale=True)

    @rule()
    def lose_scripts(self) -> None:
        self.run(self.forget_scripts())

    @rule(us=JUMPS_US)
    def change_time(self, us: int) -> None:
        assert self.model.server_us is not None
        self.set_time(max(1, self.model.server_us + us))

    @rule(span_us=st.sampled_from([None, None, -1, BOUND_US]))
    def believe(self, span_us: int | None) -> None:
        assert self.model.server_us is not None
        now_us = self.model.server_us
        self.model.believed = (
            ANY_TIME if span_us is None else ClockSpan(now_us - span_us, now_us + span_us)
        )

    @invariant()
    def books_are_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        live = self.run(self.store.inspect(POOL))
        assert live is not None
        model = self.model.pool(POOL)
        assert stocks_of(model) == sorted(live.stocks)
        assert (model.seq, len(model.users)) == (live.seq, live.users)
        assert all(stock.left <= stock.units for stock in live.stocks)
        assert all(stock.left >= 0 or stock.units == -1 for stock in live.stocks)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.redis.aclose())
            self.runner.close()


def test_script_and_engine_follow_the_same_rule(redis_url: str) -> None:
    """P6, P7, L2, X2, X5: whatever happens, both answer alike and keep the same books."""
    SameRule.redis_url = redis_url
    bounds = settings(max_examples=100, stateful_step_count=25, deadline=None, derandomize=True)
    run_state_machine_as_test(SameRule, settings=bounds)

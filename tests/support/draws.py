"""Pools and intents for tests, and the store that runs the pure engine."""

import time
from collections.abc import Sequence
from dataclasses import replace

from services.draw.code_key import CodeKey
from services.pool.rule import engine, fairness
from services.pool.rule.clock import ANY_TIME, pool_clock_us
from services.pool.rule.selection import PPB, Mode
from services.pool.rule.terms import (
    ConfigureCode,
    Configured,
    DrawCode,
    Drawing,
    Intent,
    LiveState,
    Opening,
    PoolConfig,
    PrizeConfig,
    Stock,
    Voided,
)
from services.pool.store.redis_store import ClockOffError

SEED = bytes(range(32))
CODE_KEY = "c0" * 32
NO_BACKLOG_BOUND = 1 << 40


def intent(user_id: int, request_id: str, draws: int = 1, pool_id: int = 1) -> Intent:
    """An intent whose rolls follow from SEED, and its codes from CODE_KEY."""
    rolls = fairness.Roller(SEED, pool_id).rolls(user_id, request_id, draws)
    digest = fairness.request_digest(user_id, request_id)
    codes = CodeKey(CODE_KEY).of_pool(pool_id).codes(user_id, request_id, draws)
    return Intent(user_id, request_id, digest, draws, rolls, codes)


def odds(*prizes: tuple[int, int], **settings: int) -> PoolConfig:
    """An ODDS pool of (units, parts per billion) prizes with ids 1, 2, …"""
    return PoolConfig(
        Mode.ODDS,
        tuple(PrizeConfig(i, units, ppb) for i, (units, ppb) in enumerate(prizes, start=1)),
        **settings,  # type: ignore[arg-type]
    )


def tickets(*units: int, last_prize: bool = False) -> PoolConfig:
    """A TICKETS pool with prizes 1, 2, … of these units, and perhaps a last prize 99."""
    prizes = [PrizeConfig(i, n) for i, n in enumerate(units, start=1)]
    if last_prize:
        prizes.append(PrizeConfig(99, 1, last_prize=True))
    return PoolConfig(Mode.TICKETS, tuple(prizes))


class MemoryStore:
    """A PoolStore in this process: the pure engine and the real clock, unless it is set."""

    def __init__(self) -> None:
        self.pools: dict[int, engine.PoolState] = {}
        self.max_backlog = NO_BACKLOG_BOUND
        self.believed = ANY_TIME
        self.server_us: int | None = None

    def pool(self, pool_id: int) -> engine.PoolState:
        return self.pools.setdefault(pool_id, engine.PoolState())

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """See PoolStore."""
        state = self.pool(pool_id)
        now_us = self._now_us(state)
        now_ms = (state.clock_us if now_us is None else now_us) // 1000
        drawing = engine.draw(
            state, intents, now_ms, 0, self.max_backlog, clock_is_off=now_us is None
        )
        if now_us is not None and any(answer.code == DrawCode.DRAWN for answer in drawing.answers):
            state.clock_us = now_us
        return drawing._replace(clock_us=state.clock_us)

    def _now_us(self, state: engine.PoolState) -> int | None:
        server_us = self.server_us or int(time.time() * 1_000_000)
        return pool_clock_us(server_us, state.clock_us, self.believed)

    async def configure(
        self, pool_id: int, expected_version: int, version: int, config: PoolConfig, document: str
    ) -> Configured:
        """See PoolStore."""
        del document
        state = self.pool(pool_id)
        now_us = self._now_us(state)
        if now_us is None:
            return Configured(ConfigureCode.CLOCK_OFF)
        configured = engine.configure(state, expected_version, version, config, now_us // 1000)
        if configured.code is not ConfigureCode.CONFIGURED:
            return configured
        state.clock_us = now_us
        return replace(configured, clock_us=now_us)

    async def void(self, pool_id: int, digest: bytes, draws: int) -> Voided | None:
        """See PoolStore."""
        state = self.pool(pool_id)
        now_us = self._now_us(state)
        if now_us is None:
            raise ClockOffError
        is_known = state.requests.at(now_us // 1000).get(digest) is not None
        voided = engine.void(state, digest, draws, now_us // 1000)
        if voided is not None and not is_known:
            state.clock_us = now_us
        return voided

    async def opening(self, pool_id: int) -> Opening | None:
        """See PoolStore."""
        state = self.pool(pool_id)
        now_us = self._now_us(state)
        if now_us is None:
            raise ClockOffError
        return engine.opening(state, now_us // 1000)

    async def inspect(self, pool_id: int) -> LiveState | None:
        """See PoolStore."""
        state = self.pool(pool_id)
        if state.config is None:
            return None
        status, stocks, users = state.config.status, stocks_of(state), len(state.users)
        ids = [prize.prize_id for prize in state.prizes]
        weights = dict(zip(ids, state.weights, strict=True))
        total = PPB if state.config.mode is Mode.ODDS else state.weight_sum
        return LiveState(
            pool_id, state.version, status, weights, total, state.seq, 0, 0, stocks, users, 0
        )


def stocks_of(state: engine.PoolState) -> list[Stock]:
    """The stock of every prize, retired ones included, by id."""
    return [
        Stock(prize_id, units, -1 if (left := state.left[prize_id]) is None else left)
        for prize_id, units in sorted(state.units.items())
    ]

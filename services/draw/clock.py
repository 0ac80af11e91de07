"""
Whether the store's clock is to be believed, by a clock that nobody can set.

Draws bear the time of the store's clock, and quotas, cooldowns, windows and request ids hang on
it. So it is held against the time that has passed since this machine was started: a jump, in
either direction, stops draws. They go on by themselves once the clock is right again; or, where it
stays as it is and this machine's own clock shows the same, after a while: then it was wrong before.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis

from services.common.outages import is_outage
from services.common.tasks import repeat
from services.pool.rule.clock import BOUND_US, NO_TIME, ClockSpan

log = structlog.get_logger()
CLOCK_OFF_S = Gauge(
    "kuji_draw_store_clock_off_seconds", "How far the store's clock is from what it may show"
)
# A clock that is being set right runs faster or slower by so much at most (RFC 5905: 500 ppm).
_SLEW = 0.001


class _ClockReading(NamedTuple):
    """What the store's clock showed, and this machine's time since its start, microseconds."""

    store_us: int
    uptime_us: int

    def off_us(self, other: "_ClockReading") -> int:
        """How far *other* is ahead of what follows from this one."""
        return other.store_us - self.store_us - (other.uptime_us - self.uptime_us)


def uptime_us() -> int:
    """Microseconds since this machine was started, the time that it slept included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def wall_us() -> int:
    """What this machine's clock shows, Unix microseconds."""
    return time.time_ns() // 1000


class StoreClock:
    """
    Judges readings of the store's clock.

    Args:
        hold_s: A clock that jumped, and stays so for as long, is believed.
        uptime: See uptime_us.
        wall: See wall_us.
    """

    def __init__(
        self,
        hold_s: float,
        uptime: Callable[[], int] = uptime_us,
        wall: Callable[[], int] = wall_us,
    ) -> None:
        self._hold_us = int(hold_s * 1_000_000)
        self._uptime = uptime
        self._wall = wall
        self._right: _ClockReading | None = None
        self._jumped: _ClockReading | None = None

    def believed(self) -> ClockSpan:
        """What the store's clock may show at this moment."""
        if self._right is None:
            return NO_TIME
        expected_us = self._right.store_us + self._uptime() - self._right.uptime_us
        return ClockSpan(expected_us - BOUND_US, expected_us + BOUND_US)

    def observe(self, store_us: int) -> float:
        """Take a reading into account; by how many seconds it is off, 0.0: it is right."""
        reading = _ClockReading(store_us, self._uptime())
        off_us = self._off_us(reading)
        if abs(off_us) <= BOUND_US:
            self._follow(reading)
            return 0.0
        if self._jumped is None or abs(self._jumped.off_us(reading)) > BOUND_US:
            self._jumped = reading
            log.error("the store's clock is off; nothing is drawn", seconds=off_us / 1e6)
        elif self._is_true(reading):
            log.warning("the store's clock is believed again", seconds=off_us / 1e6)
            self._right = self._jumped = None
            self._follow(reading)
            return 0.0
        return off_us / 1e6

    def _off_us(self, reading: _ClockReading) -> int:
        if self._right is None:
            return reading.store_us - self._wall()
        return self._right.off_us(reading)

    def _is_true(self, reading: _ClockReading) -> bool:
        """Whether the store's clock has stayed where it jumped to, and this machine's agrees."""
        assert self._jumped is not None
        held_us = reading.uptime_us - self._jumped.uptime_us
        return held_us >= self._hold_us and abs(reading.store_us - self._wall()) <= BOUND_US

    def _follow(self, reading: _ClockReading) -> None:
        """Let what is expected come nearer to what is shown, as a clock is set right."""
        if self._jumped is not None:
            log.warning("the store's clock is right again")
            self._jumped = None
        if self._right is None:
            self._right = reading
            return
        off_us, passed_us = self._right.off_us(reading), reading.uptime_us - self._right.uptime_us
        slewed_us = max(-passed_us * _SLEW, min(passed_us * _SLEW, off_us))
        expected_us = self._right.store_us + passed_us
        self._right = _ClockReading(expected_us + int(slewed_us), reading.uptime_us)


async def look(clock: StoreClock, redis: Redis) -> None:
    """Read the store's clock once."""
    seconds, microseconds = await redis.time()
    CLOCK_OFF_S.set(clock.observe(int(seconds) * 1_000_000 + int(microseconds)))


async def look_first(clock: StoreClock, redis: Redis) -> None:
    """Read it before the first draw; where the store is away, the draws wait for the next look."""
    try:
        await look(clock, redis)
    except Exception as error:
        if not is_outage(error):
            raise


async def look_while_running(clock: StoreClock, redis: Redis, every_s: float) -> None:
    """Keep looking until cancelled."""
    await repeat("store_clock", partial(look, clock, redis), every_s)

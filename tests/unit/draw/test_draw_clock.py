"""The store's clock against one that nobody can set."""

import pytest

from services.draw.clock import StoreClock
from services.pool.rule.clock import BOUND_US, NO_TIME

S = 1_000_000
DAY = 86_400 * S
NOON = 20_000 * DAY + DAY // 2
HOLD_S = 300


class Clocks:
    """The store's clock, this machine's, and the time since it was started; all set by hand."""

    def __init__(self) -> None:
        self.store_us = self.wall_us = NOON
        self.uptime_us = 7 * DAY
        self.clock = StoreClock(HOLD_S, lambda: self.uptime_us, lambda: self.wall_us)

    def after(self, us: int) -> float:
        """Let so much time pass, and look; how far the clock is off, seconds."""
        self.store_us, self.wall_us = self.store_us + us, self.wall_us + us
        self.uptime_us += us
        return self.clock.observe(self.store_us)

    def set(self, us: int) -> None:
        """Set both clocks forward or back: they are one, or both follow the same wrong source."""
        self.store_us, self.wall_us = self.store_us + us, self.wall_us + us

    def is_believed(self) -> bool:
        earliest_us, latest_us = self.clock.believed()
        return earliest_us <= self.store_us <= latest_us


@pytest.fixture
def clocks() -> Clocks:
    made = Clocks()
    assert made.clock.believed() == NO_TIME
    assert 0 == made.after(0)
    return made


@pytest.mark.parametrize("jump_us", [2 * DAY, -2 * DAY, 2 * BOUND_US, -2 * BOUND_US])
def test_clock_that_jumps_is_not_believed_until_it_is_right_again(
    clocks: Clocks, jump_us: int
) -> None:
    """A3: a jump stops draws at once, and the right time starts them again at once."""
    clocks.set(jump_us)
    assert not clocks.is_believed()  # before anybody has looked
    assert jump_us / S == pytest.approx(clocks.after(S))
    assert not clocks.is_believed()
    clocks.set(-jump_us)
    assert clocks.is_believed()
    assert 0 == clocks.after(S)


@pytest.mark.parametrize("jump_us", [3 * 3600 * S, -3 * 3600 * S])
def test_clock_that_stays_where_it_jumped_to_is_believed_after_a_while(
    clocks: Clocks, jump_us: int
) -> None:
    """It was wrong before, or the machine stood still: nobody has to come."""
    clocks.set(jump_us)
    assert clocks.after(S)
    assert clocks.after((HOLD_S - 1) * S)
    assert not clocks.is_believed()
    assert 0 == clocks.after(S)
    assert clocks.is_believed()


def test_clock_that_this_machine_contradicts_is_never_believed(clocks: Clocks) -> None:
    """Where only the store's clock jumped, time alone makes it no truer."""
    clocks.store_us += DAY
    for _ in range(5):
        assert clocks.after(HOLD_S * S)
    assert not clocks.is_believed()


def test_clock_that_jumps_about_is_not_believed(clocks: Clocks) -> None:
    """What is to be believed has stayed in one place for the whole while."""
    clocks.set(DAY)
    for jump_us in (DAY, -DAY, DAY, -DAY):
        assert clocks.after((HOLD_S - 1) * S)
        clocks.set(jump_us)
    assert clocks.after((HOLD_S - 1) * S)
    assert not clocks.is_believed()


def test_machine_that_slept_draws_at_once() -> None:
    """The time since the start goes on in sleep, as clocks do."""
    clocks = Clocks()
    clocks.after(0)
    assert 0 == clocks.after(3 * DAY)
    assert clocks.is_believed()


def test_clock_that_is_set_right_slowly_is_followed(clocks: Clocks) -> None:
    """Half a thousandth, as time daemons do, adds up to more than the bound, and is no jump."""
    for _ in range(100):
        clocks.set(S // 2)
        assert 0 == clocks.after(1000 * S)
    assert clocks.is_believed()


def test_first_reading_is_believed_only_where_this_machine_agrees() -> None:
    """A process that starts while the store's clock is off does not take it for the truth."""
    clocks = Clocks()
    clocks.store_us += DAY
    assert DAY / S == clocks.after(S)
    assert clocks.clock.believed() == NO_TIME
    clocks.store_us -= DAY
    assert 0 == clocks.after(S)
    assert clocks.is_believed()

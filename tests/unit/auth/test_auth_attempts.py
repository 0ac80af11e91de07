"""Attempts and their allowances, and the rules for logins that are made of them."""

import pytest

from services.auth.attempts import Allowance, Attempts
from services.auth.login_guard import Knock, LoginAllowances, LoginGuard
from services.common.errors import RateLimitedError

HOME, CAFE = "192.0.2.1", "198.51.100.7"


class Clock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """At some time."""
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    """Nothing tried yet; three subjects are remembered."""
    return Attempts(3, clock)


SLOWLY = Allowance(burst=3, every_s=10.0)


def test_attempts_wait_when_the_burst_is_used_up(attempts: Attempts, clock: Clock) -> None:
    """Three at once, then one every ten seconds; waiting longer than told is not needed."""
    assert [attempts.take({"a": SLOWLY}) for _ in range(4)] == [0, 0, 0, 10.0]
    clock.now_s += 9.5
    assert attempts.take({"a": SLOWLY}) == pytest.approx(0.5)
    clock.now_s += 0.5
    assert attempts.take({"a": SLOWLY}) == 0
    assert attempts.take({"a": SLOWLY}) == 10.0


def test_refused_attempts_do_not_make_the_wait_longer(attempts: Attempts, clock: Clock) -> None:
    """Hammering costs the one who hammers nothing, and nobody else either."""
    for _ in range(3):
        attempts.take({"a": SLOWLY})
    for _ in range(1000):
        assert attempts.take({"a": SLOWLY}) == 10.0
    clock.now_s += 10
    assert attempts.take({"a": SLOWLY}) == 0


def test_nothing_is_counted_when_one_subject_must_wait(attempts: Attempts) -> None:
    """Refused for one of them, an attempt does not use up the others."""
    for _ in range(3):
        attempts.take({"a": SLOWLY})
    assert attempts.take({"a": SLOWLY, "b": SLOWLY}) == 10.0
    assert not attempts.has_counted("b")


def test_attempt_given_back_is_not_counted(attempts: Attempts) -> None:
    """As if it had not been."""
    for _ in range(5):
        assert attempts.take({"a": SLOWLY}) == 0
        attempts.give_back({"a": SLOWLY})
    assert not attempts.has_counted("a")


def test_subjects_remembered_are_bounded(attempts: Attempts) -> None:
    """The one used least lately is forgotten."""
    for subject in "abcd":
        attempts.take({subject: SLOWLY})
    assert [attempts.has_counted(subject) for subject in "abcd"] == [False, True, True, True]


# ------------------------------------------------------------------- logins


@pytest.fixture
def guard(clock: Clock) -> LoginGuard:
    """Three failures of anything, five of an account, seven of a network."""
    allowances = LoginAllowances(
        known=Allowance(3, 2.0),
        unknown=Allowance(3, 10.0),
        account=Allowance(5, 10.0),
        network=Allowance(7, 1.0),
    )
    return LoginGuard(allowances, 1000, clock)


def failures(guard: LoginGuard, account: str, network: str, times: int) -> int:
    """How many of so many failed logins were checked at all."""
    checked = 0
    for _ in range(times):
        try:
            guard.admit(Knock(account, network, is_known=False))
        except RateLimitedError:
            continue
        checked += 1
    return checked


def test_guesses_are_refused_by_account_and_network(guard: LoginGuard) -> None:
    """With the time of the next one."""
    assert failures(guard, "alice", CAFE, 10) == 3
    with pytest.raises(RateLimitedError) as caught:
        guard.admit(Knock("alice", CAFE, is_known=False))
    assert caught.value.metadata == {"retry_after_ms": "10000"}


def test_guesses_from_everywhere_are_refused_by_account(guard: LoginGuard) -> None:
    """A thousand networks get no more than a few guesses at one account."""
    assert sum(failures(guard, "alice", f"203.0.113.{n}", 1) for n in range(250)) == 5


def test_guesses_at_everybody_are_refused_by_network(guard: LoginGuard) -> None:
    """One password for a thousand accounts is no way around."""
    assert sum(failures(guard, f"user{n}", CAFE, 1) for n in range(1000)) == 7


def test_owner_gets_in_at_home_whatever_was_tried_elsewhere(guard: LoginGuard) -> None:
    """Nobody locks an owner out from afar: neither by account, nor by the owner's own network."""
    for number in range(250):
        failures(guard, "alice", f"203.0.113.{number}", 3)
        failures(guard, f"user{number}", HOME, 3)
    assert guard.admit(Knock("alice", HOME, is_known=True)).kind == "known"


def test_owner_gets_in_shortly_after_an_attack_from_home(guard: LoginGuard, clock: Clock) -> None:
    """Somebody beside the owner guesses: the owner's own try is two seconds off, not ten."""
    at_home = Knock("alice", HOME, is_known=True)
    for _ in range(3):
        guard.admit(at_home)
    with pytest.raises(RateLimitedError) as caught:
        guard.admit(at_home)
    assert caught.value.metadata == {"retry_after_ms": "2000"}
    clock.now_s += 2
    guard.admit(at_home)
    guard.succeed(at_home)
    assert guard.admit(at_home).kind == "known"


def test_known_lane_is_for_those_with_nothing_on_the_slate(guard: LoginGuard) -> None:
    """One open or failed attempt, and the next of the same waits with the strangers."""
    at_home = Knock("alice", HOME, is_known=True)
    assert [guard.admit(at_home).kind for _ in range(2)] == ["known", "unknown"]
    guard.succeed(at_home)
    assert guard.admit(at_home).kind == "known"


def test_refusal_is_recalled_until_its_time(guard: LoginGuard, clock: Clock) -> None:
    """A flood is refused from memory, without a look into the database."""
    guard.recall("alice", CAFE)
    failures(guard, "alice", CAFE, 4)
    with pytest.raises(RateLimitedError):
        guard.recall("alice", CAFE)
    guard.recall("alice", HOME)
    clock.now_s += 10
    guard.recall("alice", CAFE)


def test_attempt_that_was_not_checked_does_not_count(guard: LoginGuard) -> None:
    """Shed for want of a place, it was no guess."""
    knock = Knock("alice", CAFE, is_known=False)
    for _ in range(50):
        guard.admit(knock)
        guard.uncount(knock)
    assert failures(guard, "alice", CAFE, 10) == 3

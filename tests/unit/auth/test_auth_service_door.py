"""The service secret, guessed at."""

from typing import cast

import pytest

from services.auth.access_tokens import AccessTokens
from services.auth.attempts import Attempts
from services.auth.service_door import ServiceDoor
from services.common.context import Caller
from services.common.errors import BadCredentialsError, RateLimitedError

SECRET = "sixteen or more characters"


class Tokens:
    """Gives every caller the same token."""

    def issue(self, _caller: Caller, _ttl_s: int) -> str:
        """Good enough for a test."""
        return "token"


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
def door(clock: Clock) -> ServiceDoor:
    """Nobody has knocked yet."""
    return ServiceDoor(SECRET, cast(AccessTokens, Tokens()), 900, Attempts(1000, clock))


def answer(door: ServiceDoor, secret: str, peer: str) -> str:
    """A token, or why there is none."""
    try:
        return door.token_for("admin", secret, peer)
    except (BadCredentialsError, RateLimitedError) as error:
        return error.reason_name


def connection(number: int, host: str = "192.0.2.1") -> str:
    """A connection, as gRPC names it."""
    return f"ipv4:{host}:{number}"


def test_new_connections_are_no_way_around(door: ServiceDoor, clock: Clock) -> None:
    """However many: fifty guesses from an address, then five a second."""
    answers = [answer(door, "guess", connection(number)) for number in range(1000)]
    assert answers.count("BAD_CREDENTIALS") == 50
    clock.now_s += 1
    answers = [answer(door, "guess", connection(number)) for number in range(1000, 2000)]
    assert answers.count("BAD_CREDENTIALS") == 5
    assert answer(door, SECRET, connection(1, "198.51.100.7")) == "token"


def test_service_that_was_let_in_stays_in(door: ServiceDoor) -> None:
    """Its connection has shown the secret: whoever guesses beside it does not keep it out."""
    assert answer(door, SECRET, connection(1)) == "token"
    for number in range(2, 1000):
        answer(door, "guess", connection(number))
    assert answer(door, SECRET, connection(2000)) == "RATE_LIMITED"
    assert [answer(door, SECRET, connection(1)) for _ in range(100)] == ["token"] * 100


def test_guesses_over_a_connection_that_was_let_in_are_limited(door: ServiceDoor) -> None:
    """Several may share it, by way of a proxy: a wrong secret ends what it is trusted with."""
    assert answer(door, SECRET, connection(1)) == "token"
    answers = [answer(door, "guess", connection(1)) for _ in range(100)]
    assert answers == ["BAD_CREDENTIALS"] * 4 + ["RATE_LIMITED"] * 96


def test_right_secret_is_not_counted(door: ServiceDoor) -> None:
    """A thousand services that start at once from one address are all let in."""
    assert {answer(door, SECRET, connection(number)) for number in range(1000)} == {"token"}

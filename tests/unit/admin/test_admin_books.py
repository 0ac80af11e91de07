"""When the books balance."""

from datetime import UTC, datetime

import pytest
from kuji.draw.v1.pool_pb2 import PoolState, PrizeStock

from services.admin.lottery.books import RecordedBooks, balance, moved
from services.admin.models import Prize, PrizeTerms

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def prize(prize_id: int, units: int, won: int) -> Prize:
    terms = PrizeTerms("p", "", "", units, 1, True, 0)
    return Prize(prize_id, 1, won, False, LONG_AGO, LONG_AGO, terms)


def books(seq: int, *prizes: Prize, version: int = 7) -> RecordedBooks:
    return RecordedBooks(version, seq, prizes)


def state(seq: int, *stocks: tuple[int, int, int], version: int = 7) -> PoolState:
    return PoolState(
        pool_id=1,
        version=version,
        last_seq=seq,
        stocks=[PrizeStock(prize_id=i, units=u, remaining=r) for i, u, r in stocks],
    )


BEFORE = books(10, prize(1, 5, 2), prize(2, 9, 0))


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (state(10, (1, 5, 3), (2, 9, 9)), True),
        (state(10, (1, 5, 2), (2, 9, 9)), False),
        (state(10, (1, 5, 4), (2, 9, 9)), False),
        (state(10, (1, 6, 4), (2, 9, 9)), False),
        (state(10, (1, 5, 3)), False),
        (state(10, (1, 5, 3), (2, 9, 9), (3, 1, 1)), False),
    ],
)
def test_books_agree_to_the_unit_when_nothing_is_in_flight(live: PoolState, expected: bool) -> None:
    """With every draw recorded, each unit has to be found in both places."""
    assert balance(BEFORE, live, BEFORE) == expected


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (state(12, (1, 5, 3), (2, 9, 9)), True),
        (state(12, (1, 5, 2), (2, 9, 8)), True),
        (state(12, (1, 5, 1), (2, 9, 8)), False),
        (state(12, (1, 5, 4), (2, 9, 9)), False),
        (state(12, (1, 6, 3), (2, 9, 9)), False),
        (state(99, (1, 5, -1), (2, 9, 9)), False),
    ],
)
def test_books_allow_for_draws_in_flight(live: PoolState, expected: bool) -> None:
    """No more units may be missing than draws are in flight, and none may appear."""
    assert balance(BEFORE, live, BEFORE) == expected


def test_books_do_not_balance_when_the_store_forgot_draws() -> None:
    """A live store behind Postgres has lost draws."""
    assert not balance(BEFORE, state(9, (1, 5, 3), (2, 9, 9)), BEFORE)


def test_books_agree_to_the_unit_when_the_recorder_caught_up_meanwhile() -> None:
    """The later reading decides where it holds exactly what the live store held."""
    live = state(12, (1, 5, 2), (2, 9, 9))
    assert balance(BEFORE, live, books(12, prize(1, 5, 3), prize(2, 9, 0)))
    assert not balance(BEFORE, live, books(12, prize(1, 5, 2), prize(2, 9, 0)))


def test_books_hold_when_the_recorder_ran_past_the_reading() -> None:
    """Draws recorded after the live store was read do not count against it."""
    live = state(12, (1, 5, 2), (2, 9, 9))
    assert balance(BEFORE, live, books(20, prize(1, 5, 5), prize(2, 9, 0)))


@pytest.mark.parametrize(
    ("versions", "expected"),
    [((7, 7, 7), False), ((7, 8, 7), True), ((7, 8, 8), True), ((7, 7, 8), True)],
)
def test_moved_when_the_configuration_changed(
    versions: tuple[int, int, int], expected: bool
) -> None:
    """A change between the three readings makes them incomparable."""
    before, live, after = versions
    actual = moved(books(1, version=before), state(1, version=live), books(1, version=after))
    assert actual == expected

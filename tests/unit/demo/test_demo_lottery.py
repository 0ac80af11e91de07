"""The demo's lottery: its plan, and its verdict."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from demo.activities import Prize
from demo.client import Player
from demo.lottery import DEFAULT_PRIZES, Answer, Campaign, Draw, Played, parse_prizes
from demo.lottery_checks import Evidence, checks
from demo.system import Books
from services.pool.books.facts import Flight, PoolFacts, PoolRow, Tally
from services.pool.books.findings import Finding, Kind


def test_prizes_are_read_from_units_and_probabilities() -> None:
    """Each prize gets a name, its units and its chance."""
    expected = [Prize("Prize A", 4, 1.0), Prize("Prize B", 0, 0.0)]
    assert expected == parse_prizes("4:1.0, 0:0")


def test_default_prizes_are_three_rare_ones_and_a_common_one() -> None:
    """The demo's campaign is the one that the documentation shows."""
    prizes = [(prize.units, prize.probability) for prize in parse_prizes(DEFAULT_PRIZES)]
    assert [(5, 0.05), (10, 0.10), (15, 0.15), (500, 0.40)] == prizes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not units:probability"),
        ("5", "is not units:probability"),
        ("5:0.1:2", "is not units:probability"),
        ("x:0.1", "is not units:probability"),
        ("5:0.1,5:y", "'5:y' is not units:probability"),
        ("-1:0.1", "units are 0 or more"),
        ("1:-0.1", "a probability is 0 to 1"),
        ("1:nan", "a probability is 0 to 1"),
        ("1:0.6,1:0.5", "sum to more than 1"),
        (",".join(["1:0"] * 27), "at most 26 prizes"),
    ],
)
def test_prizes_are_refused_when_unfit(text: str, sentence: str) -> None:
    """A typing error starts no demo, and is named."""
    with pytest.raises(ValueError, match=sentence):
        parse_prizes(text)


@pytest.mark.parametrize(("users", "draws"), [(3, 10), (10, 3), (7, 700), (1, 1)])
def test_campaign_spreads_the_draws_evenly(users: int, draws: int) -> None:
    """All draws are given out, and no user has two more than another."""
    counts = [len(draws) for draws in Campaign(users, draws, [], seed=1).over_grpc()]
    assert (users, draws) == (len(counts), sum(counts))
    assert max(counts) - min(counts) <= 1


def test_campaign_sends_some_draws_over_grpc_and_the_same_ones_for_one_seed() -> None:
    """About a tenth, decided by the seed alone."""
    doors = list(Campaign(200, 3000, [], seed=1).over_grpc())
    assert doors == list(Campaign(200, 3000, [], seed=1).over_grpc())
    assert doors != list(Campaign(200, 3000, [], seed=2).over_grpc())
    assert 200 < sum(map(sum, doors)) < 400


# Two users: the first one misses (7-1) and wins (7-3), the second one wins (7-2).
MISSED = {"draw_id": "7-1", "prize_id": "0"}
WON_BY_BOB = {"draw_id": "7-2", "prize_id": "5"}
WON_BY_ALICE = {"draw_id": "7-3", "prize_id": "5"}
PLAYERS = [Player(1, "alice", "t1"), Player(2, "bob", "t2")]
ANSWERS = {
    (1, "draw-1"): Answer("7-1", 0, "", False),
    (2, "draw-1"): Answer("7-2", 5, "code-2", False),
    (1, "draw-2"): Answer("7-3", 5, "code-3", True),
}


def _played(unanswered: dict[tuple[int, str], str] | None = None) -> Played:
    draws = [Draw(*name, answer, False, 1, 0.01) for name, answer in ANSWERS.items()]
    return Played(Campaign(2, 3, []), 1, 7, PLAYERS, draws, unanswered or {}, 1.0)


def _evidence(**changes: Any) -> Evidence:
    """What every side says when all is well, but for *changes*."""
    row = PoolRow(7, "Spring", 1, 3, 1, 3, 2, 2, "")
    facts = PoolFacts(row, [], Tally(3, 2, 2, 0, 2, 2), [], [], None, Flight(3))
    good = Evidence(
        books=Books(facts, []),
        records=[(*name, *answer[:3]) for name, answer in ANSWERS.items()],
        winners=[
            {"draw_id": "7-3", "prize_id": "5", "user_name": "a***e"},
            {"draw_id": "7-2", "prize_id": "5", "user_name": "b***b"},
        ],
        histories={1: [WON_BY_ALICE, MISSED], 2: [WON_BY_BOB]},
        statistics=_statistics(),
    )
    return dataclasses.replace(good, **changes)


def _statistics(**changes: Any) -> dict[str, Any]:
    prize = {"prize_id": "5", "name": "Mug", "total": 9, "won": 2, "remaining": 7}
    good = {"draws": 3, "wins": 2, "unique_users": 2, "books_balance": True, "prizes": [prize]}
    return good | changes


def _broken(played: Played, evidence: Evidence) -> set[int]:
    """The places of the checks that have problems."""
    return {place for place, check in enumerate(checks(played, evidence)) if check.problems}


BOOKS, ANSWERED, RECORDS, WINNERS, HISTORIES, STATISTICS = range(6)


def test_verdict_is_good_when_every_side_agrees() -> None:
    """No problem is made up."""
    assert set() == _broken(_played(), _evidence())


def _books(finding: Finding) -> dict[str, Any]:
    return {"books": Books(_evidence().books.facts, [finding])}


def _records(change: Callable[[list[Any]], Any]) -> dict[str, Any]:
    records = list(_evidence().records)
    change(records)
    return {"records": records}


def _histories(alice: list[dict[str, str]], bob: list[dict[str, str]]) -> dict[str, Any]:
    return {"histories": {1: alice, 2: bob}}


_THREE_WON = {"prize_id": "5", "name": "Mug", "total": 9, "won": 3, "remaining": 6}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (_books(Finding(Kind.STOCK, 7, 5, -1, "one is missing")), BOOKS),
        (_records(lambda rows: rows.pop(0)), RECORDS),
        (_records(lambda rows: rows.append(rows[1])), RECORDS),
        (_records(lambda rows: rows.append((3, "x", "7-4", 0, ""))), RECORDS),
        (_records(lambda rows: rows.append((*rows.pop(0)[:3], 5, ""))), RECORDS),
        (_records(lambda rows: rows.append((*rows.pop()[:4], "y"))), RECORDS),
        ({"winners": _evidence().winners[:1]}, WINNERS),
        ({"winners": [*_evidence().winners, _evidence().winners[0]]}, WINNERS),
        (_histories([WON_BY_ALICE], [WON_BY_BOB]), HISTORIES),
        (_histories([WON_BY_BOB, MISSED], [WON_BY_ALICE]), HISTORIES),
        ({"statistics": _statistics(draws=4)}, STATISTICS),
        ({"statistics": _statistics(books_balance=False)}, STATISTICS),
        ({"statistics": _statistics(wins=1, unique_users=3)}, STATISTICS),
        ({"statistics": _statistics(prizes=[_THREE_WON])}, STATISTICS),
    ],
)
def test_verdict_fails_the_right_check_when_a_side_differs(
    changes: dict[str, Any], expected: int
) -> None:
    """Each difference breaks the promise that it belongs to, and no other."""
    assert {expected} == _broken(_played(), _evidence(**changes))


def test_verdict_fails_when_a_draw_was_never_answered() -> None:
    """A player who was left without an answer is a failure, recorded or not."""
    played = _played({(2, "draw-2"): "TimeoutError()"})
    assert {ANSWERED} == _broken(played, _evidence())

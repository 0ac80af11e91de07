"""The demo's rules: its plan, its patience, and the verdict."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
import grpc
import pytest

from demo.accounts import Player
from demo.lottery.doors import Ack, Outcome
from demo.lottery.evidence import Evidence, Listed, Record
from demo.lottery.game import Game
from demo.lottery.plan import DEFAULT_PRIZES, Plan, PrizePlan, parse_prizes
from demo.lottery.verdict import judge
from demo.patience import EdgeError, asked, passes, patiently
from services.pool.books.facts import Flight, PoolFacts, PoolRow, Tally
from services.pool.books.findings import Finding, Kind


def test_prizes_are_read_from_units_and_probabilities() -> None:
    """Each prize gets a name, its units and its chance."""
    expected = [PrizePlan("Prize A", 4, 1.0), PrizePlan("Prize B", 0, 0.0)]
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
def test_plan_spreads_the_draws_evenly(users: int, draws: int) -> None:
    """All draws are given out, and no user has two more than another."""
    counts = [len(doors) for doors in Plan(users, draws, [], seed=1).doors()]
    assert (users, draws) == (len(counts), sum(counts))
    assert max(counts) - min(counts) <= 1


def test_plan_sends_some_draws_over_grpc_and_the_same_ones_for_one_seed() -> None:
    """About a tenth, decided by the seed alone."""
    doors = list(Plan(200, 3000, [], seed=1).doors())
    assert doors == list(Plan(200, 3000, [], seed=1).doors())
    assert doors != list(Plan(200, 3000, [], seed=2).doors())
    assert 200 < sum(map(sum, doors)) < 400


def _rpc_error(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "", "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EdgeError(503, "UNAVAILABLE", ""), True),
        (EdgeError(429, "RATE_LIMITED", ""), True),
        (EdgeError(429, "COOLDOWN", ""), False),
        (EdgeError(400, "ACTIVITY_NOT_ONGOING", ""), False),
        (EdgeError(500, "INTERNAL", ""), False),
        (aiohttp.ServerDisconnectedError(), True),
        (TimeoutError(), True),
        (_rpc_error(grpc.StatusCode.UNAVAILABLE), True),
        (_rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED), True),
        (_rpc_error(grpc.StatusCode.FAILED_PRECONDITION), False),
        (ValueError(), False),
    ],
)
def test_failure_is_repeated_when_it_may_pass(error: Exception, expected: bool) -> None:
    """What a restart heals is tried again; a refusal is final."""
    assert expected == passes(error)


def _failing(failures: list[Exception]) -> Callable[[], Any]:
    async def call() -> str:
        if failures:
            raise failures.pop(0)
        return "answer"

    return call


async def test_patiently_repeats_until_the_answer_comes() -> None:
    """Two failures that pass cost nothing but time."""
    call = _failing([TimeoutError(), EdgeError(503, "OVERLOADED", "")])
    assert await patiently(call) == "answer"


async def test_attempts_are_counted_until_the_answer_comes() -> None:
    """The report tells how often a call had to be repeated."""
    answer, attempts, seconds = await asked(_failing([TimeoutError(), TimeoutError()]))
    assert ("answer", 3) == (answer, attempts)
    assert 0 < seconds


async def test_patiently_raises_when_a_refusal_is_final() -> None:
    """A refusal is not repeated."""
    failures: list[Exception] = [EdgeError(401, "UNAUTHENTICATED", ""), TimeoutError()]
    with pytest.raises(EdgeError, match="UNAUTHENTICATED"):
        await patiently(_failing(failures))
    assert len(failures) == 1


async def test_patiently_raises_when_patience_is_over() -> None:
    """Nobody waits for ever."""
    with pytest.raises(TimeoutError):
        await patiently(_failing([TimeoutError() for _ in range(9)]), patience_s=-1)


# Two users: the first one misses (7-1) and wins (7-3), the second one wins (7-2).
PLAYERS = [Player(1, "alice", "t1"), Player(2, "bob", "t2")]
OUTCOMES = {
    (1, "draw-1"): Outcome("7-1", 0, "", False),
    (2, "draw-1"): Outcome("7-2", 5, "code-2", False),
    (1, "draw-2"): Outcome("7-3", 5, "code-3", True),
}


def _game() -> Game:
    acks = [Ack(*name, outcome, False, 1, 0.01) for name, outcome in OUTCOMES.items()]
    return Game(acks)


def _evidence(**changes: Any) -> Evidence:
    """What every side says when all is well, but for *changes*."""
    row = PoolRow(7, "Spring", 1, 3, 1, 3, 2, 2, "")
    facts = PoolFacts(row, [], Tally(3, 2, 2, 0, 2, 2), [], [], None, Flight(3))
    good = Evidence(
        facts=facts,
        findings=[],
        records=[
            Record(*name, outcome.draw_id, outcome.prize_id, outcome.prize_code)
            for name, outcome in OUTCOMES.items()
        ],
        winners=[
            {"draw_id": "7-3", "prize_id": "5", "user_name": "a***e"},
            {"draw_id": "7-2", "prize_id": "5", "user_name": "b***b"},
        ],
        histories={1: [Listed("7-3", 5), Listed("7-1", 0)], 2: [Listed("7-2", 5)]},
        statistics={"activities": [_statistics()]},
    )
    return dataclasses.replace(good, **changes)


def _statistics(**changes: Any) -> dict[str, Any]:
    prize = {"prize_id": "5", "name": "Mug", "total": 9, "won": 2, "remaining": 7}
    good = {"draws": 3, "wins": 2, "unique_users": 2, "books_balance": True, "prizes": [prize]}
    return good | changes


def _broken(game: Game, evidence: Evidence) -> Counter[int]:
    """Problems by the place of the check."""
    checks = enumerate(judge(game, PLAYERS, evidence))
    return Counter({place: len(check.problems) for place, check in checks if check.problems})


BOOKS, ANSWERED, RECORDS, WINNERS, HISTORIES, STATISTICS = range(6)


def test_verdict_is_good_when_every_side_agrees() -> None:
    """No problem is made up."""
    assert Counter() == _broken(_game(), _evidence())


def _records(change: Callable[[list[Record]], Any]) -> dict[str, Any]:
    records = list(_evidence().records)
    change(records)
    return {"records": records}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"findings": [Finding(Kind.STOCK, 7, 5, -1, "one is missing")]}, {BOOKS: 1}),
        (_records(lambda rows: rows.pop(0)), {RECORDS: 1}),
        (_records(lambda rows: rows.append(rows[1]._replace(draw_id="7-4"))), {RECORDS: 1}),
        (_records(lambda rows: rows.append(Record(3, "x", "7-4", 0, ""))), {RECORDS: 1}),
        (_records(lambda rows: rows.append(rows.pop(0)._replace(prize_id=5))), {RECORDS: 1}),
        (_records(lambda rows: rows.append(rows.pop()._replace(prize_code="y"))), {RECORDS: 1}),
        (_records(lambda rows: rows.append(rows.pop()._replace(draw_id="7-9"))), {RECORDS: 1}),
        ({"winners": _evidence().winners[:1]}, {WINNERS: 1}),
        ({"winners": [*_evidence().winners, _evidence().winners[0]]}, {WINNERS: 1}),
        ({"histories": {1: [Listed("7-3", 5)], 2: [Listed("7-2", 5)]}}, {HISTORIES: 1}),
        (
            {"histories": {1: [Listed("7-2", 5)], 2: [Listed("7-3", 5), Listed("7-1", 0)]}},
            {HISTORIES: 2},
        ),
        ({"statistics": {"activities": [_statistics(draws=4)]}}, {STATISTICS: 1}),
        ({"statistics": {"activities": [_statistics(books_balance=False)]}}, {STATISTICS: 1}),
        (
            {"statistics": {"activities": [_statistics(wins=1, unique_users=3)]}},
            {STATISTICS: 2},
        ),
    ],
)
def test_verdict_fails_the_right_check_when_a_side_differs(
    changes: dict[str, Any], expected: dict[int, int]
) -> None:
    """Each difference breaks the promise that it belongs to, and no other."""
    assert Counter(expected) == _broken(_game(), _evidence(**changes))


def test_verdict_fails_when_a_prize_counts_otherwise() -> None:
    """The statistics of each prize are held against the answers."""
    prize = {"prize_id": "5", "name": "Mug", "total": 9, "won": 3, "remaining": 6}
    statistics = {"activities": [_statistics(prizes=[prize])]}
    assert Counter({STATISTICS: 1}) == _broken(_game(), _evidence(statistics=statistics))


def test_verdict_fails_when_a_draw_was_never_answered() -> None:
    """A player who was left without an answer is a failure, recorded or not."""
    game = _game()
    game.unanswered[2, "draw-2"] = "TimeoutError()"
    assert Counter({ANSWERED: 1}) == _broken(game, _evidence())

"""The verdict on a load test: what it must find, and what is no fault."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.load.answers import (
    AccountAnswer,
    Answer,
    AnswerBook,
    DrawAnswer,
    OrderAnswer,
    SoldOutAnswer,
    read_answers,
)
from tests.load.busy import Busy, read_busy, told, was_the_limit
from tests.load.figures import Line, read_exceptions, read_lines
from tests.load.report import Outcome, write_report
from tests.load.verdict import Finding, Rows, Verdict, compared

MISS = DrawAnswer(1, "a", "9-1", 0, "")
WIN = DrawAnswer(2, "b", "9-2", 5, "CODE1")
ITEM = OrderAnswer(7, 3, "CODE2")
ACCOUNT = AccountAnswer(4, "new")
NOTHING = SoldOutAnswer(3, "c")
ALL = Rows([MISS, WIN], [ITEM], [ACCOUNT])


def test_answers_that_postgres_has_are_good() -> None:
    """A replay counts once; what nobody heard of is counted, and no fault."""
    verdict = compared([MISS, WIN, WIN, ITEM, ACCOUNT, NOTHING, NOTHING], ALL)
    assert (True, 0) == (verdict.is_good, verdict.unheard)
    assert {"draws": 2, "sold out": 1, "items": 1, "accounts": 1} == verdict.answered
    assert (True, 2) == ((one := compared([MISS], ALL)).is_good, one.unheard)


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([MISS, DrawAnswer(3, "c", "9-3", 0, "")], "draws answered"),
        ([WIN._replace(prize_code="OTHER")], "draws answered"),
        ([MISS, MISS._replace(draw_id="9-4")], "requests that drew more than once"),
        ([WIN, DrawAnswer(3, "c", "9-2", 5, "CODE3")], "draw ids"),
        ([SoldOutAnswer(MISS.user_id, MISS.request_id)], "requests told"),
        ([WIN, OrderAnswer(8, 3, "CODE1")], "prize codes"),
        ([OrderAnswer(8, 3, "CODE9")], "items answered"),
        ([AccountAnswer(5, "gone")], "accounts answered"),
    ],
)
def test_lost_doubled_and_changed_answers_are_found(answers: list[Answer], found: str) -> None:
    """Each by what it is, with an example."""
    verdict = compared(answers, ALL)
    assert not verdict.is_good
    assert any(finding.what.startswith(found) and finding.examples for finding in verdict.findings)


def test_books_that_do_not_balance_and_silence_are_not_good() -> None:
    """Where nothing was answered, nothing is shown."""
    assert not compared([MISS], ALL, [Finding("findings of the books", 1, "stock")]).is_good
    assert not compared([], ALL).is_good


def test_answers_are_read_as_they_were_written(tmp_path: Path) -> None:
    """But for a line that a killed process left unfinished."""
    book = AnswerBook(tmp_path)
    for answer in (MISS, WIN, ITEM, ACCOUNT, NOTHING):
        book.note(answer)
    (tmp_path / "answers-1.jsonl").write_text('["draw", 1, "z", "9-9", 0, ""]\n["draw", 1, "y"')
    assert Counter(read_answers(tmp_path)) == Counter(
        [MISS, WIN, ITEM, ACCOUNT, NOTHING, DrawAnswer(1, "z", "9-9", 0, "")]
    )


def test_generator_that_had_no_time_left_makes_the_run_invalid(tmp_path: Path) -> None:
    """Its figures would not be Kuji's; a short peak is none of that."""
    peak, busy = Busy(1, 0.5, 1.0), Busy(2, 0.95, 1.0)
    for one in (peak, busy):
        (tmp_path / f"busy-{one.pid}.json").write_text(json.dumps(one))
    assert [busy, peak] == read_busy(tmp_path)
    assert (True, False) == (was_the_limit([peak, busy]), was_the_limit([peak]))
    assert "95 % (at worst 100 %)" in told([busy])


GOOD = Verdict(Counter(draws=1), 0, [])
BAD = Verdict(Counter(draws=1), 0, [Finding("draws lost", 1, "9-1 <b>")])


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(GOOD, [Busy(1, 0.2, 0.3)], checks_failed=False), 0),
        (Outcome(BAD, [Busy(1, 0.99, 1.0)], checks_failed=True), 1),
        (Outcome(GOOD, [], checks_failed=False, failed="it broke"), 2),
        (Outcome(GOOD, [], checks_failed=True), 3),
        (Outcome(GOOD, [Busy(1, 0.99, 1.0)], checks_failed=False), 4),
    ],
)
def test_exit_code_and_page_tell_the_verdict(outcome: Outcome, code: int, tmp_path: Path) -> None:
    """A broken promise goes before all else; what was found is text, not markup."""
    page = tmp_path / "report.html"
    page.write_text("<html><body class='x'>locust's</body></html>")
    write_report(outcome, tmp_path)
    assert code == outcome.exit_code
    shown = page.read_text()
    assert ("verdict: good" in shown, "<b>" in shown) == (code == 0, False)
    assert len(outcome.lines) + 1 == len((tmp_path / "verdict.csv").read_text().splitlines())


def test_figures_are_those_of_locust(tmp_path: Path) -> None:
    """Percentiles are of all calls, by how often each wait was seen."""
    entry = {
        "method": "POST",
        "name": "/x",
        "num_requests": 100,
        "num_failures": 2,
        "start_time": 10.0,
        "last_request_timestamp": 20.0,
        "response_times": {"5": 50, "7": 45, "100": 4, "900": 1},
    }
    (tmp_path / "locust.json").write_text(json.dumps([entry]))
    assert [Line("POST /x", 100, 2, 10.0, 5.0, 7.0, 100.0)] == read_lines(tmp_path)
    (tmp_path / "locust_exceptions.csv").write_text(
        'Count,Message,Traceback,Nodes\n3,"broke",x,local\n'
    )
    assert ["broke (3 times)"] == read_exceptions(tmp_path)

"""Work without end: it survives what its rounds raise, and ends when it is told to."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
import structlog.testing
from prometheus_client import REGISTRY

from services.common import tasks
from services.common.tasks import Trouble, end_if_cancelled, insist, pause, repeat, until_beat
from services.draw.blindbox.sweeper import Sweeper
from services.draw.guard import MemoryGuard
from services.draw.proof.prover import Prover
from services.history.lottery.feed import WinnerFeed
from services.history.settings import HistorySettings
from services.pool.books.watch import BooksWatch
from services.recorder.lag import LagGauges

NOTHING: Any = None
Loop = Callable[[], Awaitable[object]]


class Deaf:
    """Work that keeps a cancellation to itself, as asyncio.wait_for of Python 3.11 may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def __call__(self, *_: object) -> None:
        """Begin, and end when cancelled, as if it had completed just then."""
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return


def _guard(work: Deaf) -> Loop:
    guard = MemoryGuard(NOTHING, 0)
    guard.look = work  # type: ignore[method-assign]
    return lambda: guard.look_while_running(0.01)


def _prover(work: Deaf) -> Loop:
    prover = Prover(NOTHING, NOTHING, NOTHING)
    prover.reveal_ended = work  # type: ignore[method-assign,assignment]
    return lambda: prover.reveal_while_running(0.01)


def _books(work: Deaf) -> Loop:
    watch = BooksWatch(NOTHING)
    watch.look = work  # type: ignore[method-assign]
    return lambda: watch.look_while_running(0.01)


def _sweeper(work: Deaf) -> Loop:
    sweeper = Sweeper(NOTHING, NOTHING, 1)
    sweeper.sweep = work  # type: ignore[method-assign]
    return lambda: sweeper.sweep_while_running(0.01)


def _feed(work: Deaf) -> Loop:
    told: Any = {"postgres_dsn": "postgresql://x", "redis_url": "redis://x", "auth_address": ""}
    feed = WinnerFeed(NOTHING, NOTHING, NOTHING, HistorySettings(listen="", **told))
    feed._round = work  # type: ignore[method-assign]
    return feed.run


def _lag(work: Deaf) -> Loop:
    gauges = LagGauges(NOTHING)
    gauges.measure = work  # type: ignore[method-assign,assignment]
    return lambda: gauges.run({})


@pytest.mark.parametrize("make", [_guard, _prover, _books, _sweeper, _feed, _lag])
async def test_loop_ends_when_its_work_swallows_the_cancellation(
    make: Callable[[Deaf], Loop],
) -> None:
    """A service that stops never waits for a loop that did not hear it."""
    work = Deaf()
    task = asyncio.ensure_future(make(work)())
    await work.begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert {task} == done
    assert task.cancelled()


async def test_pause_only_sleeps_when_nobody_cancelled() -> None:
    """A loop that is not told to end goes on; so does one whose timeout has passed."""
    end_if_cancelled()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    await pause(0)


class Rounds:
    """Work that goes as *outcomes* say, one a round, and well afterwards; None: it goes well."""

    def __init__(self, *outcomes: BaseException | None) -> None:
        self._outcomes = iter(outcomes)
        self.done = asyncio.Event()

    async def __call__(self) -> str:
        """The next outcome."""
        failure = next(self._outcomes, None)
        if failure is not None:
            raise failure
        self.done.set()
        return "done"


def sample(metric: str, **labels: str) -> float:
    """A metric's value now; 0 where it has none."""
    return REGISTRY.get_sample_value(metric, labels) or 0.0


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged meanwhile."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionResetError(),
        RuntimeError("unable to perform operation; the handler is closed"),
        KeyError("a defect"),
        ExceptionGroup("both", [TimeoutError(), KeyError("a defect")]),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
async def test_loop_goes_on_whatever_a_round_raises(failure: BaseException) -> None:
    """An outage, a defect, a cancellation that was meant for another: the next round comes."""
    rounds = Rounds(failure)
    task = asyncio.ensure_future(repeat("test", rounds, every_s=0))
    await asyncio.wait_for(rounds.done.wait(), 10)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_round_that_hangs_counts_as_an_outage(
    logged: list[MutableMapping[str, Any]],
) -> None:
    """No round lasts longer than its bound."""
    hanging = iter([asyncio.Event()])
    done = asyncio.Event()

    async def round_() -> None:
        for event in hanging:
            await event.wait()
        done.set()

    task = asyncio.ensure_future(repeat("test", round_, every_s=0, bound_s=0.01))
    await asyncio.wait_for(done.wait(), 10)
    task.cancel()
    await asyncio.wait([task])
    assert "interrupted, waiting" == logged[0]["event"]


async def test_outage_is_told_once_and_its_end_once(
    logged: list[MutableMapping[str, Any]],
) -> None:
    """Not each round, nor each way in which one part fails; the metrics have every round."""
    before = sample("kuji_work_failed_rounds_total", work="told", kind="outage")
    trouble = Trouble("told")
    for _ in range(3):
        await trouble.survived(Rounds(ConnectionRefusedError())())
        await trouble.survived(Rounds(TimeoutError())())
    assert 1 == sample("kuji_work_interrupted", work="told")
    await trouble.survived(Rounds()())
    await trouble.survived(Rounds()())
    assert ["interrupted, waiting", "goes on"] == [entry["event"] for entry in logged]
    assert 0 == sample("kuji_work_interrupted", work="told")
    assert 6 == sample("kuji_work_failed_rounds_total", work="told", kind="outage") - before


async def test_defect_is_told_in_full_and_each_kind_once(
    logged: list[MutableMapping[str, Any]],
) -> None:
    """With its traceback, which an outage has no need of."""
    trouble = Trouble("defect")
    for failure in (KeyError("a"), KeyError("a"), KeyError("b"), TimeoutError(), KeyError("b")):
        await trouble.survived(Rounds(failure)())
    assert ["error", "error", "warning", "error"] == [entry["log_level"] for entry in logged]
    assert [True, True, False, True] == [bool(entry.get("exc_info")) for entry in logged]


async def test_pauses_grow_up_to_a_bound() -> None:
    """Soon at first, then every few seconds; a part that was back once is asked soon again."""
    trouble = Trouble("pauses")
    outage, defect = TimeoutError(), KeyError("a defect")
    pauses = [trouble.met(outage) for _ in range(40)]
    assert [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *[5.0] * 34] == pauses
    assert 30.0 == [trouble.met(defect) for _ in range(40)][-1]
    trouble.over()
    assert 0.1 == trouble.met(outage)


async def test_attempt_is_repeated_until_no_outage_stands_in_its_way() -> None:
    """What needs another part at its start waits for it; a defect comes out."""
    assert "done" == await insist("test", Rounds(ConnectionRefusedError(), TimeoutError()))
    with pytest.raises(KeyError):
        await insist("test", Rounds(TimeoutError(), KeyError("a defect")))


@pytest.mark.parametrize("every_s", [0.2, 1.0, 5.0])
def test_what_pauses_for_equally_long_goes_on_together(
    every_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it asks, it waits for a turn that is everybody's, and for about its pause."""
    begun_s = time.monotonic()
    turns = set()
    for percent in range(0, 400, 7):
        now_s = begun_s + every_s * percent / 100
        monkeypatch.setattr(time, "monotonic", lambda now_s=now_s: now_s)
        delay_s = until_beat(every_s)
        assert every_s / 2 < delay_s <= every_s * 1.5
        turns.add(round((now_s + delay_s - tasks._BEAT_FROM_S) / every_s, 6))
    assert all(turn.is_integer() for turn in turns)
    assert 4 <= len(turns) <= 6


async def test_work_that_has_nothing_to_do_is_not_begun() -> None:
    """It waits to be told that something is due, and goes on from there."""
    due, done = asyncio.Event(), asyncio.Event()

    async def round_() -> None:
        due.clear()
        done.set()

    task = asyncio.create_task(repeat("due", round_, 0.001, due=due.wait))
    for _ in range(3):
        assert not done.is_set()
        due.set()
        await asyncio.wait_for(done.wait(), 30)
        done.clear()
    task.cancel()
    await asyncio.wait([task])

"""One window of draws against a side, and what its records say of the answers."""

import asyncio
import itertools
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stack.processes import ROOT
from tests.bench.contest.jobs import ContestJob, ContestTally, contest_tally_of
from tests.bench.contest.lottery import Opened
from tests.bench.contest.sides import Record, Side, oversold
from tests.bench.pools import BooksError

_RECORDED_TIMEOUT_S = 300.0
_POLL_S = 0.05  # some count all their rows for it
_names = itertools.count(1)
BUSY = 0.9  # of a core: a generator beyond it was the limit


@dataclass(frozen=True)
class Window:
    """
    What a window showed.

    Args:
        tally: The generator's.
        recorded: When the last draw was on record, seconds of the machine's monotonic clock.
        cpu_s: CPU time of the side until then.
    """

    tally: ContestTally
    recorded: float
    cpu_s: float

    @property
    def answered_per_s(self) -> float:
        """Draws a second, from the first call to the last answer."""
        return self.tally.draws / self.tally.seconds

    @property
    def recorded_per_s(self) -> float:
        """Draws a second, from the first call to the last record."""
        return self.tally.draws / (self.recorded - self.tally.started)

    @property
    def cpu_us(self) -> float:
        """CPU time of the side for a draw."""
        return self.cpu_s / self.tally.draws * 1e6

    @property
    def lag_s(self) -> float:
        """How long after the last answer everything was on record."""
        return max(0.0, self.recorded - self.tally.ended)


async def generate(
    job: ContestJob,
    at_half: Callable[[], None] | None = None,
    at_end: Callable[[int], Awaitable[None]] | None = None,
) -> ContestTally:
    """
    Let a generator do *job*.

    Args:
        job: What is drawn.
        at_half: Called when half of the users are answered.
        at_end: Called with the number of answers when the last has come; nothing is read before it
            returns.

    Raises:
        RuntimeError: It ended early; its complaint is on stderr.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.contest.generator", stdin=PIPE, stdout=PIPE, cwd=ROOT
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{job.to_json()}\n".encode())
        while line := (await process.stdout.readline()).decode():
            match line.split():
                case ["half"] if at_half is not None:
                    at_half()
                case ["ended", answers]:
                    if at_end is not None:
                        await at_end(int(answers))
                    process.stdin.write(b"\n")
                case [word, *_] if word.startswith("{"):
                    return contest_tally_of(line)
        raise RuntimeError(f"the generator ended on {job}")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def read_answers(file: Path) -> list[Record]:
    """What the generator was answered."""
    lines = (line.split(",") for line in file.read_text("utf-8").splitlines())
    return [Record(int(user_id), draw_id, int(prize_id)) for user_id, draw_id, prize_id in lines]


def check(side: str, opened: Opened, answers: Sequence[Record], records: Iterable[Record]) -> None:
    """
    Hold the records of an activity against the answers.

    Raises:
        BooksError: A draw is missing, is there unasked, or differs; a user drew twice; a prize has
            more winners than units.
    """
    told, there = set(answers), set(records)
    differences = {
        "lost or changed": len(told - there),
        "unasked": len(there - told),
        "twice": len(answers) - len({answer.user_id for answer in answers}),
        **oversold(opened.offers, there),
    }
    if any(differences.values()):
        raise BooksError(f"{side}, activity {opened.activity_id}: {differences}")


async def draw(side: Side, users: int, seconds: float = 0.0) -> Window:
    """
    Let fresh *users* draw once each, all of them, or as many as do it within *seconds*.

    Raises:
        BooksError: A draw failed, or the records are not what was answered.
    """
    opened = await side.open_activity()
    drain, cpu_s = _Drain(side, opened), side.cpu_s()
    with tempfile.NamedTemporaryFile(prefix="kuji-answers-") as file:
        job = job_of(side, opened, users, Path(file.name), seconds)
        tally = await generate(job, at_end=drain.wait)
        if tally.failures or tally.has_run_out:
            raise BooksError(f"{side.name}: draws failed or users ran out: {tally.failures}")
        side.crowd.taken += tally.draws
        if side.keeps_records:
            check(side.name, opened, read_answers(Path(file.name)), await side.records(opened))
    return Window(tally, drain.recorded or tally.ended, drain.cpu_s - cpu_s)


class _Drain:
    """Waits for the records of an activity."""

    def __init__(self, side: Side, opened: Opened) -> None:
        self._side = side
        self._opened = opened
        self.recorded = 0.0
        self.cpu_s = 0.0

    async def wait(self, draws: int) -> None:
        """Return once so many draws are on record, where there are records."""
        if self._side.keeps_records:
            self.recorded = await until_recorded(self._side, self._opened, draws)
        self.cpu_s = self._side.cpu_s()


def job_of(
    side: Side, opened: Opened, users: int, answers: Path, seconds: float = 0.0
) -> ContestJob:
    """Fresh *users*, or as many as there are, draw from an activity."""
    return ContestJob(
        "127.0.0.1",
        side.port,
        f"w{next(_names)}",
        opened.activity_id,
        str(side.crowd.tokens),
        side.crowd.taken,
        min(users, side.crowd.left),
        str(answers),
        seconds=seconds,
    )


async def until_recorded(side: Side, opened: Opened, draws: int) -> float:
    """
    When so many draws were seen on record, monotonic seconds.

    Raises:
        BooksError: They do not come.
    """
    try:
        async with asyncio.timeout(_RECORDED_TIMEOUT_S):
            while await side.recorded(opened) < draws:  # noqa: ASYNC110  # nothing tells us
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise BooksError(f"{side.name}: {draws} draws were answered, and not recorded") from error
    return time.monotonic()

"""
The generator of whole stacks: a process of its own that draws, or reads, through their faces.

Reads a WholeJob a line on stdin and answers with a WholeTally a line on stdout. Answers are kept as
they came while it is measured; afterwards each of them is read, and written down.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import uvloop

from tests.bench.pace import numbers
from tests.bench.whole.faces import Call, Players, RefusedError, draw_answer, open_face, players_of
from tests.bench.whole.jobs import WholeJob, WholeTally, whole_job_of
from tests.load.answers import DrawAnswer, write_answers

Answers = list[tuple[int, bytes]]


class _Window:
    """The calls of one job."""

    def __init__(self, job: WholeJob, call: Call) -> None:
        self._job = job
        self._call = call
        self._numbers = numbers(job.calls, job.seconds)
        self.answers: Answers = []
        self.waits_s: list[float] = []
        self.failures: Counter[str] = Counter()
        self.late_s = 0.0

    async def _make(self, number: int, due: float) -> None:
        try:
            self.answers.append((number, await self._call(number)))
        except RefusedError as error:
            self.failures[str(error)] += 1
        if self._job.timed:
            self.waits_s.append(time.monotonic() - due)

    async def _one_after_the_other(self) -> None:
        for number in self._numbers:
            await self._make(number, time.monotonic())

    async def _as_due(self, tasks: asyncio.TaskGroup) -> None:
        """Call *number* at its time, however many are under way; it is late from then on."""
        first = time.monotonic()
        for number in range(round(self._job.rate * self._job.seconds)):
            due = first + number / self._job.rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.late_s = max(self.late_s, time.monotonic() - due)
            tasks.create_task(self._make(number, due))

    async def run(self) -> tuple[float, float]:
        """All calls; when the first was sent, and when the last answer came."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            if self._job.rate:
                await self._as_due(tasks)
            else:
                for _ in range(self._job.in_flight):
                    tasks.create_task(self._one_after_the_other())
        return started, time.monotonic()


async def do(job: WholeJob) -> WholeTally:
    """What became of *job*."""
    players = players_of(job)
    async with open_face(job, players) as call:
        window, cpu_s = _Window(job, call), time.process_time()
        started, ended = await window.run()
        cpu_s = time.process_time() - cpu_s
    read = _read_pages if job.face == "list" else _read_draws
    calls, sold_out = read(job, window, players)
    return WholeTally(
        calls,
        sold_out,
        started,
        ended,
        cpu_s,
        dict(window.failures),
        window.waits_s,
        window.late_s,
    )


def _read_draws(job: WholeJob, window: _Window, players: Players) -> tuple[int, int]:
    drawn: list[DrawAnswer] = []
    sold_out = 0
    for number, answer in window.answers:
        try:
            told = draw_answer(job, number, answer, players)
        except (RefusedError, LookupError, ValueError) as error:
            window.failures[f"{type(error).__name__}: {error}"] += 1
            continue
        if told is None:
            sold_out += 1
        else:
            drawn.append(told)
    write_answers(Path(job.folder), job.name, drawn)
    return len(drawn) + sold_out, sold_out


def _read_pages(job: WholeJob, window: _Window, _: Players) -> tuple[int, int]:
    """Nobody wins meanwhile, so a page is the same each time; what is on them is written down."""
    pages: dict[int, bytes] = {}
    good = 0
    for number, answer in window.answers:
        if pages.setdefault(number % job.pages + 1, answer) == answer:
            good += 1
        else:
            window.failures["a page that changed"] += 1
    lists = {page: json.loads(answer)["data"]["winners"] for page, answer in pages.items()}
    found = {page: [winner["draw_id"] for winner in winners] for page, winners in lists.items()}
    Path(job.folder, f"pages-{job.name}.json").write_text(json.dumps(found), "utf-8")
    return good, 0


async def _main() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        tally = await do(whole_job_of(line))
        print(json.dumps(asdict(tally)), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())

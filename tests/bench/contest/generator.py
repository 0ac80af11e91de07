"""
The generator of a contest: a process of its own that draws over kept connections.

Reads one ContestJob on stdin. Writes "half" once half of the users are answered, so that somebody
may be killed then; "ended" and how many were answered, at the end; and a ContestTally, once a line
on stdin allows it. Answers are kept as they came, and read only then: it would cost those time who
are still at work.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from statistics import quantiles

import uvloop

from tests.bench.contest.jobs import ContestJob, ContestTally, contest_job_of
from tests.bench.contest.lane import Draw, Lane
from tests.load.users.tokens import user_of

_CONNECTED_TIMEOUT_S = 20.0
_ENDED_TIMEOUT_S = 60.0  # after the last draw has begun


class _Window:
    """The draws of one job, taken by its connections in turn."""

    def __init__(self, job: ContestJob) -> None:
        self._job = job
        self._until = 0.0
        self._tokens = _tokens(job)
        self._draws = self._numbered()
        self._half = job.users // 2
        self.answers: list[tuple[int, bytes]] = []
        self.waits_s: list[float] = []
        self.failures: Counter[str] = Counter()
        self.has_run_out = False
        self.ended = 0.0

    def _numbered(self) -> Iterator[Draw]:
        for number, token in enumerate(self._tokens):
            if self._until and time.monotonic() >= self._until:
                return
            yield Draw(number, self._request(number, token))
        self.has_run_out = bool(self._until)

    def _request(self, number: int, token: bytes) -> bytes:
        job = self._job
        body = b'{"activity_id":"%d","request_id":"%s-%d"}' % (
            job.activity_id,
            job.name.encode(),
            number,
        )
        return (
            b"POST /api/lottery/draw HTTP/1.1\r\nhost: kuji\r\nauthorization: Bearer %s\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        ) % (token, len(body), body)

    def next_draw(self) -> Draw | None:
        """Whose turn it is; None: it is over."""
        return next(self._draws, None)

    def note(self, draw: Draw, body: bytes, wait_s: float) -> None:
        """A draw was answered."""
        self.answers.append((draw.number, body))
        self.waits_s.append(wait_s)
        self.ended = time.monotonic()
        if len(self.answers) == self._half:
            print("half", flush=True)

    async def run(self) -> ContestTally:
        """All draws, from the first to the last answer."""
        job = self._job
        lanes = [Lane(job.host, job.port, self, job.patience_s) for _ in range(job.connections)]
        async with asyncio.timeout(_CONNECTED_TIMEOUT_S):
            await asyncio.gather(*(lane.connect() for lane in lanes))
        cpu_s, started = time.process_time(), time.monotonic()
        self._until = started + job.seconds if job.seconds else 0.0
        for lane in lanes:
            lane.begin()
        bound_s = (job.seconds or 0.05 * job.users) + job.patience_s + _ENDED_TIMEOUT_S
        async with asyncio.timeout(bound_s):
            await asyncio.gather(*(lane.ended for lane in lanes))
        cpu_s = time.process_time() - cpu_s
        print("ended", len(self.answers), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        draws = self._write_answers()
        p50_s, p99_s = _percentiles(self.waits_s)
        return ContestTally(
            draws,
            started,
            self.ended,
            cpu_s,
            dict(self.failures),
            p50_s,
            p99_s,
            self.has_run_out,
        )

    def _write_answers(self) -> int:
        lines = []
        for number, body in self.answers:
            try:
                draw_id, prize_id = _read(body)
            except (LookupError, TypeError, ValueError):
                self.failures[f"no draw: {body[:100].decode(errors='replace')}"] += 1
                continue
            user_id = user_of(self._tokens[number].decode())
            lines.append(f"{user_id},{draw_id},{prize_id}\n")
        Path(self._job.answers).write_text("".join(lines), "utf-8")
        return len(lines)


def _read(body: bytes) -> tuple[str, int]:
    answer = json.loads(body)
    drawn = answer["data"]
    if answer["status"] != 1 or drawn["won"] != (drawn["prize"] is not None):
        raise ValueError(answer)
    return str(drawn["draw_id"]), int(drawn["prize"]["prize_id"]) if drawn["won"] else 0


def _tokens(job: ContestJob) -> list[bytes]:
    with Path(job.tokens).open("rb") as file:
        tokens = [line.strip() for line in islice(file, job.first, job.first + job.users)]
    if len(tokens) < job.users:
        raise ValueError(f"{job.tokens} has no {job.users} users after {job.first}")
    return tokens


def _percentiles(waits_s: list[float]) -> tuple[float, float]:
    if len(waits_s) < 2:
        return 0.0, 0.0
    cuts = quantiles(waits_s, n=100, method="inclusive")
    return cuts[49], cuts[98]


async def _main() -> None:
    window = _Window(contest_job_of(sys.stdin.readline()))
    print(json.dumps(asdict(await window.run())), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())

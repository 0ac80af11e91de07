"""
The generator: a process of its own that sends draws as fast as they are answered.

Reads a Job a line on stdin and answers with a Tally a line on stdout. Answers are kept as the
bytes that came, and only read when a job "acknowledgements" asks for them: the reading takes no
time from what is measured.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import grpc
import uvloop
from kuji.draw.v1 import draw_pb2

from tests.bench import bare
from tests.bench.acknowledged import Acknowledged, Answers, waits_of, write_acknowledged
from tests.bench.jobs import Job, Tally, job_of
from tests.bench.pace import numbers

_CALL_TIMEOUT_S = 20.0
# Walks through all users in no order that a cache would like; a prime above all their numbers.
_STRIDE = 15_485_863

Send = Callable[[int], Awaitable[Acknowledged]]


def user_of(number: int, users: int) -> int:
    """Who makes draw *number*, from 0: all of 1 … *users* in turn."""
    return number * _STRIDE % users + 1


def _batch_request(job: Job, number: int) -> draw_pb2.DrawBatchRequest:
    first = number * job.batch
    return draw_pb2.DrawBatchRequest(
        draws=[
            draw_pb2.BatchDraw(
                activity_id=job.activity_id,
                user_id=user_of(k, job.users),
                request_id=f"{job.name}-{k}",
            )
            for k in range(first, first + job.batch)
        ]
    )


def _unary_request(job: Job, number: int) -> draw_pb2.DrawRequest:
    return draw_pb2.DrawRequest(
        activity_id=job.activity_id,
        user_id=user_of(number, job.users),
        request_id=f"{job.name}-{number}",
    )


def _sender(job: Job, channel: grpc.aio.Channel) -> Send:
    method, request_of = {
        "unary": ("Draw", _unary_request),
        "batch": ("DrawBatch", _batch_request),
    }[job.kind]
    call = channel.unary_unary(
        f"/kuji.draw.v1.DrawService/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=None,
    )
    metadata = (("authorization", f"Bearer {job.token}"),)

    async def send(number: int) -> Acknowledged:
        request = request_of(job, number)
        return number, await call(request, metadata=metadata, timeout=_CALL_TIMEOUT_S)

    return send


class _Window:
    """The calls of one job."""

    def __init__(self, job: Job, send: Send) -> None:
        self._job = job
        self._send = send
        self._numbers = numbers(job.draws // job.batch, job.seconds)
        self.answers: Answers = []
        self.waits_s: list[float] = []
        self.failures: Counter[str] = Counter()

    async def _send_on(self) -> None:
        for number in self._numbers:
            try:
                self.answers.append(await self._send(number))
            except grpc.aio.AioRpcError as error:
                self.failures[f"{error.code().name}: {error.details()}"] += 1

    async def _send_timed(self) -> None:
        """The same, and note how long each took."""
        for number in self._numbers:
            began = time.monotonic()
            try:
                self.answers.append(await self._send(number))
                self.waits_s.append(time.monotonic() - began)
            except grpc.aio.AioRpcError as error:
                self.failures[f"{error.code().name}: {error.details()}"] += 1

    async def run(self) -> Tally:
        """All calls, from the first to the last answer."""
        cpu_s, started = time.process_time(), time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._job.in_flight):
                tasks.create_task(self._send_timed() if self._job.timed else self._send_on())
        ended, cpu_s = time.monotonic(), time.process_time() - cpu_s
        calls = len(self.answers)
        waits_s = waits_of(self.answers, self.waits_s) if self._job.timed else {}
        return Tally(
            calls * self._job.batch, calls, started, ended, cpu_s, dict(self.failures), waits_s
        )


class _Generator:
    """Does one job after the other."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._answers: Answers = []

    async def do(self, job: Job) -> Tally:
        if job.kind == "acknowledgements":
            assert self._job is not None
            return write_acknowledged(self._job, self._answers, Path(job.target), user_of)
        self._job = job
        if job.kind == "bare":
            tally, self._answers = await asyncio.to_thread(bare.run, job, user_of)
            return tally
        async with grpc.aio.insecure_channel(job.target) as channel:
            await asyncio.wait_for(channel.channel_ready(), _CALL_TIMEOUT_S)
            window = _Window(job, _sender(job, channel))
            tally = await window.run()
        self._answers = window.answers
        return tally


async def _main() -> None:
    generator = _Generator()
    while line := await asyncio.to_thread(sys.stdin.readline):
        tally = await generator.do(job_of(line))
        print(json.dumps(asdict(tally)), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())

"""What the generator was answered, as lines that Postgres can compare with its rows."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import quantiles

import msgpack
from kuji.draw.v1 import draw_pb2

from services.pool.rule.terms import DrawCode
from services.pool.store.layout import AnswerColumns, DrawnColumns
from services.pool.store.redis_store import answers_of
from tests.bench.jobs import Job, Tally

Acknowledged = tuple[int, bytes]
Answers = list[Acknowledged]
UserOf = Callable[[int, int], int]


def write_acknowledged(job: Job, answers: Answers, file: Path, user_of: UserOf) -> Tally:
    """
    Write "seq,user id,request id,prize id" (0: a miss) of each draw that *answers* tell of.

    Returns:
        How many draws drew, and what became of the others.
    """
    failures: Counter[str] = Counter()
    lines = 0
    with file.open("w") as out:
        for number, seq, prize_id, failure in _READERS[job.kind](job, answers):
            if failure:
                failures[failure] += 1
                continue
            user_id = user_of(number, job.users)
            out.write(f"{seq},{user_id},{job.name}-{number},{prize_id}\n")
            lines += 1
    return Tally(lines, len(answers), 0.0, 0.0, 0.0, dict(failures))


def waits_of(answers: Answers, waits_s: Sequence[float]) -> dict[str, list[float]]:
    """p50 and p99 of *waits_s*, one of each of *answers*: of those that won, and of the others."""
    waits: dict[str, list[float]] = {"win": [], "miss": []}
    for (_, answer), wait_s in zip(answers, waits_s, strict=True):
        has_won = draw_pb2.DrawResponse.FromString(answer).result.won
        waits["win" if has_won else "miss"].append(wait_s)
    return {
        name: [quantiles(of_it, n=100, method="inclusive")[at] for at in (49, 98)]
        for name, of_it in waits.items()
        if len(of_it) > 1
    }


_Read = Iterator[tuple[int, int, int, str]]  # draw number, seq, prize id, failure


def _of_result(number: int, result: draw_pb2.DrawResult) -> tuple[int, int, int, str]:
    seq = int(result.draw_id.partition("-")[2])
    return number, seq, result.prize.prize_id, "REPLAYED" if result.replayed else ""


def _read_unary(job: Job, answers: Answers) -> _Read:
    del job
    for number, answer in answers:
        yield _of_result(number, draw_pb2.DrawResponse.FromString(answer).result)


def _read_batch(job: Job, answers: Answers) -> _Read:
    for number, answer in answers:
        outcomes = draw_pb2.DrawBatchResponse.FromString(answer).outcomes
        for k, outcome in enumerate(outcomes, number * job.batch):
            if outcome.HasField("error"):
                yield k, 0, 0, outcome.error.reason
            else:
                yield _of_result(k, outcome.result)


def _read_bare(job: Job, answers: Answers) -> _Read:
    for number, packed in answers:
        *_, told, drawn = msgpack.unpackb(packed, raw=True)
        found = answers_of(AnswerColumns(*told), DrawnColumns(*drawn))
        for k, answer in enumerate(found, number * job.batch):
            if answer.code is DrawCode.DRAWN:
                yield k, answer.first_seq, answer.draws[0].prize_id, ""
            else:
                yield k, 0, 0, answer.code.name


_READERS: dict[str, Callable[[Job, Answers], _Read]] = {
    "unary": _read_unary,
    "batch": _read_batch,
    "bare": _read_bare,
}

"""What is lost when the processes that draw are killed in the middle of a burst."""

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.contest.lottery import Opened
from tests.bench.contest.sides import Record, Side
from tests.bench.contest.window import generate, job_of, read_answers
from tests.bench.figures import Figure, Step
from tests.bench.scale import Scale

_PATIENCE_S = 60.0
# Without a new record: what is not there by then does not come.
_STILL_S = 30.0
_STILL_AND_DEAD_S = 1.0  # only what Postgres had begun is still to come
_POLL_S = 0.1


@dataclass(frozen=True)
class Loss:
    """
    What a kill showed.

    Args:
        side: Whose processes were killed.
        answered: Draws that were answered, before and after.
        lost: Those of them that are not on record.
        extra: Draws on record whose answer nobody got.
    """

    side: str
    answered: int
    lost: int
    extra: int

    def __str__(self) -> str:
        return (
            f"{self.side}: of {self.answered:,} draws answered {self.lost:,} are lost, "
            f"and {self.extra:,} recorded that were not answered"
        )


async def measure(kuji: Side, other: Side, scale: Scale, step: Step) -> Figure:
    """The figure; a step for each kill."""
    ours = await kill_in_the_middle(kuji, scale.rush, _PATIENCE_S, _STILL_S)
    step("M5 kill Kuji")
    theirs = await kill_in_the_middle(
        other, scale.rush, 0.0, _STILL_AND_DEAD_S
    )  # nobody starts it again
    step("M5 kill B")
    return Figure(
        "M5",
        "draws lost: kill -9 in the middle",
        f"{ours.lost:,} of {ours.answered:,} answered",
        f"{theirs.side}: {theirs.lost:,} of {theirs.answered:,} answered",
        None,
        "0, and the other's not",
        ours.lost == 0 and theirs.lost > 0,
        [str(ours), str(theirs)],
    )


async def kill_in_the_middle(side: Side, users: int, patience_s: float, still_s: float) -> Loss:
    """
    Let fresh *users* draw from *side*, and kill it when half of them are answered.

    Args:
        side: Whose processes are killed.
        users: How many.
        patience_s: For how long a draw without an answer is asked for again.
        still_s: What is not on record after so long without a new record does not come.
    """
    opened = await side.open_activity()
    with tempfile.NamedTemporaryFile(prefix="kuji-answers-") as file:
        job = replace(job_of(side, opened, users, Path(file.name)), patience_s=patience_s)
        tally = await generate(job, at_half=side.kill)
        side.crowd.taken += users
        answers = set(read_answers(Path(file.name)))
    assert len(answers) == tally.draws, f"{side.name} gave a draw twice"
    records = await _records_at_the_end(side, opened, answers, still_s)
    return Loss(side.name, len(answers), len(answers - records), len(records - answers))


async def _records_at_the_end(
    side: Side, opened: Opened, answers: set[Record], still_s: float
) -> set[Record]:
    """The records, once all *answers* are among them, or none has come for *still_s*."""
    loop = asyncio.get_running_loop()
    records, since = set(await side.records(opened)), loop.time()
    while answers - records and loop.time() - since < still_s:
        await asyncio.sleep(_POLL_S)
        now = set(await side.records(opened))
        if now != records:
            records, since = now, loop.time()
    return records

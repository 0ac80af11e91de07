"""What the generator of a contest is told, and what it tells."""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ContestJob:
    """
    A window of draws, each by another user.

    Args:
        host: Of who is called, as numbers.
        port: Of who is called.
        name: Makes request ids unique; at most 16 characters.
        activity_id: What is drawn from.
        tokens: File of access tokens, one a line.
        first: The first one's line, from 0.
        users: How many lines; each draws once at most.
        answers: File for the answers: a line "user id,draw id,prize id" (0: a miss) each.
        connections: Kept alive, one draw at a time on each.
        seconds: No draw starts after this time; 0: all users draw.
        patience_s: For how long a draw that got no answer is asked for again, under the same
            request id; 0: not at all, and its connection ends with it.
    """

    host: str
    port: int
    name: str
    activity_id: int
    tokens: str
    first: int
    users: int
    answers: str
    connections: int = 256
    seconds: float = 0.0
    patience_s: float = 0.0

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class ContestTally:
    """
    What became of a job.

    Args:
        draws: Draws that were answered as such; each answer was read.
        started: When the first call was sent, seconds of the machine's monotonic clock.
        ended: When the last answer came.
        cpu_s: CPU time of the generator between the two.
        failures: Other answers, and none, by what was said.
        p50_s: What half of the draws waited at most.
        p99_s: What 99 of a hundred waited at most.
        has_run_out: Whether there were no users left before the time was over.
    """

    draws: int
    started: float
    ended: float
    cpu_s: float
    failures: dict[str, int]
    p50_s: float
    p99_s: float
    has_run_out: bool

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.started

    @property
    def generator_cores(self) -> float:
        """How busy the generator was."""
        return self.cpu_s / self.seconds


def contest_job_of(line: str) -> ContestJob:
    """The inverse of ContestJob.to_json."""
    return ContestJob(**json.loads(line))


def contest_tally_of(line: str) -> ContestTally:
    """A ContestTally from its JSON."""
    fields: dict[str, Any] = json.loads(line)
    return ContestTally(**fields)

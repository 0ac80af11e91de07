"""What the generator is told and what it tells, one JSON line each."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["unary", "batch", "bare", "acknowledgements"]


@dataclass(frozen=True)
class Job:
    """
    Work for the generator.

    Args:
        kind: "unary" and "batch" call a service, "bare" calls the script, "acknowledgements"
            writes down what the job before was answered.
        target: host:port of the service; the URL of Redis; the file to write.
        name: Makes request ids unique; at most 32 characters.
        token: Access token of a service.
        pool_id: Its pool, for "bare".
        activity_id: Its activity, for the others.
        users: Draws go round users 1 … users.
        batch: Draws in a call.
        in_flight: Calls under way at the same time.
        seconds: No call starts after this time; 0: *draws* counts.
        draws: Draws in all; 0: *seconds* counts.
        timed: Whether to say how long the answers took; "unary" alone.
    """

    kind: Kind
    target: str
    name: str = ""
    token: str = ""
    pool_id: int = 0
    activity_id: int = 0
    users: int = 1
    batch: int = 1
    in_flight: int = 1
    seconds: float = 0.0
    draws: int = 0
    timed: bool = False

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Tally:
    """
    What became of a job.

    Args:
        draws: Draws answered.
        calls: Calls answered.
        started: When the first call was sent, seconds of the machine's monotonic clock.
        ended: When the last answer came.
        cpu_s: CPU time of the generator between the two.
        failures: Calls and draws that were refused or failed, by reason.
        waits_s: "win" and "miss" → how long half of their answers took at most, and 99 of a
            hundred; where it was asked.
    """

    draws: int
    calls: int
    started: float
    ended: float
    cpu_s: float
    failures: dict[str, int]
    waits_s: dict[str, list[float]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.started

    @property
    def calls_per_s(self) -> float:
        """Calls answered a second."""
        return self.calls / self.seconds

    @property
    def draws_per_s(self) -> float:
        """Draws answered a second."""
        return self.draws / self.seconds


def job_of(line: str) -> Job:
    """The inverse of Job.to_json."""
    return Job(**json.loads(line))


def tally_of(line: str) -> Tally:
    """A Tally from its JSON."""
    fields: dict[str, Any] = json.loads(line)
    return Tally(**fields)

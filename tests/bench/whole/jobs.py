"""What the generator of whole stacks is told and what it tells, one JSON line each."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Face = Literal["json", "grpc", "list"]


@dataclass(frozen=True)
class WholeJob:
    """
    Work for the generator.

    Args:
        face: Draws by JSON or by gRPC, or pages of the winner list by JSON.
        target: host:port of who is called.
        name: Makes request ids unique, and names the file of answers.
        folder: Where answers are written down.
        tokens: File of the players' access tokens; the draws go round them.
        activity_id: Whose prizes are drawn, whose winners are read.
        in_flight: Calls under way at the same time; with a *rate*, connections.
        seconds: No call starts after this time; 0: *calls* counts.
        calls: Calls in all; 0: *seconds* counts.
        rate: Calls are due at so many a second, whatever becomes of those before; 0: each follows
            on an answer.
        pages: Pages of the winner list that are read in turn.
        page_size: Winners on each.
        timed: Whether to tell how long each call took: from when it was due, where there is a rate.
    """

    face: Face
    target: str
    name: str
    folder: str
    tokens: str = ""
    activity_id: int = 0
    in_flight: int = 1
    seconds: float = 0.0
    calls: int = 0
    rate: float = 0.0
    pages: int = 1
    page_size: int = 20
    timed: bool = False

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class WholeTally:
    """
    What became of a job.

    Args:
        calls: Calls that were answered as they should be.
        sold_out: Those of them that were told that there is nothing left.
        started: When the first call was sent, seconds of the machine's monotonic clock.
        ended: When the last answer came.
        cpu_s: CPU time of the generator between the two.
        failures: Calls that were refused, failed, or answered with nonsense, by reason.
        waits_s: How long each call took, where it was asked.
        late_s: How long after it was due the last call of an open load was sent.
    """

    calls: int
    sold_out: int
    started: float
    ended: float
    cpu_s: float
    failures: dict[str, int]
    waits_s: list[float] = field(default_factory=list)
    late_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.started

    @property
    def calls_per_s(self) -> float:
        """Calls answered a second."""
        return self.calls / self.seconds


def whole_job_of(line: str) -> WholeJob:
    """The inverse of WholeJob.to_json."""
    return WholeJob(**json.loads(line))


def whole_tally_of(line: str) -> WholeTally:
    """A WholeTally from its JSON."""
    fields: dict[str, Any] = json.loads(line)
    return WholeTally(**fields)

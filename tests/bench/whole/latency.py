"""M12: how long a draw takes at half of the rate that is the most."""

from dataclasses import dataclass, field
from statistics import median

from tests.bench.figures import Figure, Step, percentile
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.bench.whole.jobs import Face, WholeJob
from tests.bench.whole.stack import FOUR_PRIZES, MeasuredActivity, whole_stack

_SHARE = 0.5
_IN_FLIGHT = 64  # gives the most
_CONNECTIONS = 256  # of an open load: none has to wait for one
_SHOWN = (50.0, 99.0, 99.9)
_NAMES: dict[Face, str] = {"json": "JSON, through the edge", "grpc": "gRPC, at the service"}


@dataclass
class _Latency:
    """What one face gave, window by window."""

    face: Face
    activity: MeasuredActivity
    seconds: float
    most: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    generator_cores: list[float] = field(default_factory=list)

    async def find_the_most(self) -> None:
        """Each call on an answer: as many draws as there can be."""
        job = WholeJob(self.face, "", "", "", in_flight=_IN_FLIGHT, seconds=self.seconds)
        self.most.append((await self.activity.draw(job)).calls_per_s)

    @property
    def rate(self) -> float:
        """Half of that."""
        return _SHARE * median(self.most)

    async def draw_at_half(self) -> None:
        """Each call when it is due, whatever became of those before."""
        job = WholeJob(
            self.face,
            *("", "", ""),
            in_flight=_CONNECTIONS,
            seconds=self.seconds,
            rate=self.rate,
            timed=True,
        )
        tally = await self.activity.draw(job)
        self.waits_s += tally.waits_s
        self.late_s.append(tally.late_s)
        self.generator_cores.append(tally.cpu_s / tally.seconds)

    def figure(self) -> Figure:
        """p50, p99 and p99.9 of all windows together."""
        shown = " / ".join(f"{1000 * percentile(self.waits_s, at):.1f}" for at in _SHOWN)
        return Figure(
            "M12",
            f"a draw by {_NAMES[self.face]}, at {self.rate:,.0f} draws/s, p50 / p99 / p99.9",
            f"{shown} ms",
            f"half of {median(self.most):,.0f} draws/s",
            None,
            "",
            True,
            (
                f"{self.face}: {len(self.waits_s):,} draws; the generator at "
                f"{median(self.generator_cores):.2f} cores sent none later than "
                f"{1000 * max(self.late_s):.0f} ms after it was due",
            ),
        )


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """A figure for each face; a step for each window."""
    whole = await whole_stack(bench, scale.players)
    activity = await whole.open_activity(FOUR_PRIZES)
    faces = [_Latency(face, activity, scale.whole_s) for face in _NAMES]
    for number in range(1, scale.rounds + 1):
        for face in faces:
            await face.find_the_most()
            step(f"M12 most {number}/{scale.rounds}")
    for number in range(1, scale.rounds + 1):
        for face in faces:
            await face.draw_at_half()
            step(f"M12 half {number}/{scale.rounds}")
    return [face.figure() for face in faces]

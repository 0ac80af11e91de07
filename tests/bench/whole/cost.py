"""What the calls of one side cost: the CPU of all parts a call, the generator's cores."""

from dataclasses import dataclass, field
from statistics import median

from tests.bench import parts
from tests.bench.whole.jobs import WholeJob, WholeTally
from tests.bench.whole.stack import MeasuredActivity


@dataclass
class Cost:
    """Of one side, window by window."""

    cpu_us: list[float] = field(default_factory=list)
    generator_cores: list[float] = field(default_factory=list)

    async def of(self, activity: MeasuredActivity, job: WholeJob) -> WholeTally:
        """What became of *job* on *activity*; what it costs until it is recorded is noted."""
        whole = activity.whole
        pids = parts.pids_of(whole.under_test)
        before = parts.cpu_s(pids)
        tally = await activity.do(job)
        await whole.system.wait_until_recorded(activity.pool_id)
        self.cpu_us.append(sum(parts.used_since(pids, before).values()) / tally.calls * 1e6)
        self.generator_cores.append(tally.cpu_s / tally.seconds)
        return tally

    @property
    def median_us(self) -> float:
        """Microseconds of all parts a call."""
        return median(self.cpu_us)

    def __str__(self) -> str:
        return (
            f"{self.median_us:,.0f} us of all parts' CPU a call, "
            f"generator at {median(self.generator_cores):.2f} cores"
        )


def compared(a: Cost, b: Cost) -> str:
    """How much more a call of *b* costs."""
    return f"by the CPU of all parts alone: {b.median_us / a.median_us:.2f}"

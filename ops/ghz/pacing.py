"""When the next call is due: the load schedules of ghz, as arithmetic on nanoseconds."""

import math
from dataclasses import dataclass
from typing import Protocol

from ops.ghz.notation import NS_PER_S, seconds_of
from ops.ghz.options import GhzOptions


class Pacer(Protocol):
    """A load schedule."""

    def wait_ns(self, elapsed_ns: int, calls: int) -> int:
        """How long to wait before call number *calls*, from 0; 0 or less: it is due."""


@dataclass(frozen=True)
class ConstantPacer:
    """*rate* calls a second; 0: as fast as can be."""

    rate: int

    def wait_ns(self, elapsed_ns: int, calls: int) -> int:
        """See Pacer. Whoever is behind by whole seconds catches up at once."""
        if self.rate == 0 or calls < self.rate * (elapsed_ns // NS_PER_S):
            return 0
        return (calls + 1) * (NS_PER_S // self.rate) - elapsed_ns


@dataclass(frozen=True)
class SteppedPacer:
    """
    Begins at *start* calls a second, changes by *step* after each *step_ns*.

    Attributes:
        end: The rate from *constant_ns* on; 0 where the steps never end.
        constant_ns: When the steps end; 0: never.
    """

    start: int
    step: int
    step_ns: int
    end: int
    constant_ns: int

    def rate(self, elapsed_ns: int) -> float:
        """Calls a second at that time."""
        if 0 < self.constant_ns <= elapsed_ns:
            return float(self.end)
        return float(max(0, self.start + self.step * (elapsed_ns // self.step_ns)))

    def due(self, elapsed_ns: int) -> float:
        """How many calls are due by then."""
        if 0 < self.constant_ns < elapsed_ns:
            rest = seconds_of(elapsed_ns - self.constant_ns) * self.end
            return self.due(self.constant_ns) + rest
        steps = elapsed_ns // self.step_ns
        rate = max(0, self.start + self.step * steps)
        rest = seconds_of(elapsed_ns - steps * self.step_ns) * rate
        return self._whole_steps(steps) * seconds_of(self.step_ns) + rest

    def _whole_steps(self, steps: int) -> int:
        """The sum of the rates of the first *steps* steps; none is below 0."""
        if self.step < 0:
            steps = min(steps, self.start // -self.step + 1)
        return steps * self.start + self.step * (steps * (steps - 1) // 2)

    def wait_ns(self, elapsed_ns: int, calls: int) -> int:
        """See Pacer."""
        due = self.due(elapsed_ns)
        if calls < int(due):
            return 0
        if 0 < self.constant_ns <= elapsed_ns:
            before = int(self.due(self.constant_ns))
            return ConstantPacer(self.end).wait_ns(elapsed_ns - self.constant_ns, calls - before)
        if not (rate := self.rate(elapsed_ns)):
            return self.step_ns - elapsed_ns % self.step_ns
        return int((calls + 1 - due) * NS_PER_S / rate)


def pacer_of(options: GhzOptions) -> Pacer:
    """The load schedule that *options*, which were checked, ask for."""
    if options.load_schedule == "const":
        return ConstantPacer(options.rps)
    step_ns = NS_PER_S if options.load_schedule == "line" else options.load_step_duration
    return SteppedPacer(
        options.load_start, options.load_step, step_ns, *_end_of_steps(options, step_ns)
    )


def _end_of_steps(options: GhzOptions, step_ns: int) -> tuple[int, int]:
    """The rate at the end, and when it begins."""
    if options.load_max_duration:
        steps = options.load_max_duration // step_ns
        end = options.load_end or max(1, options.load_start + options.load_step * steps)
        return end, options.load_max_duration
    if not options.load_end:
        return 0, 0
    # ghz goes on until a step has passed the end.
    steps = math.floor((options.load_end - options.load_start) / options.load_step) + 1
    return options.load_end, max(0, steps) * step_ns

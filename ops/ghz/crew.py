"""How many workers there are: the concurrency schedules of ghz."""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions


@dataclass(frozen=True)
class CrewChange:
    """At *at_ns* after the start, *delta* workers begin, or end where it is negative."""

    at_ns: int
    delta: int


def crew_changes(options: GhzOptions) -> Iterator[CrewChange]:
    """The changes in order; without an end where the schedule has none."""
    if options.concurrency_schedule == "const":
        yield CrewChange(0, options.concurrency)
        return
    yield CrewChange(0, options.concurrency_start)
    yield from _steps(options)


def _steps(options: GhzOptions) -> Iterator[CrewChange]:
    is_line = options.concurrency_schedule == "line"
    step_ns = NS_PER_S if is_line else options.concurrency_step_duration
    step, end, longest_ns = (
        options.concurrency_step,
        options.concurrency_end,
        options.concurrency_max_duration,
    )
    workers, at_ns = options.concurrency_start, step_ns
    while not (longest_ns and at_ns >= longest_ns) and not (
        not longest_ns and _is_reached(workers, step, end)
    ):
        # There are never fewer than no workers.
        delta = max(step, -workers)
        if delta == 0:
            return
        yield CrewChange(at_ns, delta)
        workers += delta
        at_ns += step_ns
    if longest_ns and end and (end - workers) * step > 0:
        yield CrewChange(at_ns, end - workers)


def _is_reached(workers: int, step: int, end: int) -> bool:
    return bool(end) and workers >= end if step > 0 else workers <= end

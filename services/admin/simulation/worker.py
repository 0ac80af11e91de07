"""
python -m services.admin.simulation.worker: play the job on standard input, tell its steps.

A process of its own, so that the service's event loop does not wait for it, with bounds of its
own: it gives way to everybody else, and ends by itself when nobody reads it, or after a minute's
work.
"""

import os
import resource
import sys
import time
from collections.abc import Iterator
from random import Random

from services.admin.simulation.job import Job, Step, job_of
from services.admin.simulation.player import play
from services.admin.simulation.summary import summary_of

CPU_S = 60
_PROGRESS_S = 0.25
_NICE = 10


def steps(job: Job) -> Iterator[Step]:
    """Progress, a few times a second, and at last what came out."""
    runs, config = job.affordable_runs, job.config
    yield Step(0, runs)
    told = time.monotonic()
    random = Random(job.seed)  # noqa: S311  # nobody guesses what is only a forecast
    for number, played in enumerate(play(config, job.curve.draws, runs, random), 1):
        if number == runs:
            units = [stake.units for stake in job.stakes]
            yield Step(runs, runs, summary_of(played, units, job.curve))
        elif time.monotonic() - told >= _PROGRESS_S:
            told = time.monotonic()
            yield Step(number, runs)


def main() -> None:
    """Play one job."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    for step in steps(job_of(sys.stdin.readline())):
        sys.stdout.write(f"{step.to_line()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

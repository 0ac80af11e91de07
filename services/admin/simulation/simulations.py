"""What an activity would give: its prizes as they stand, and what draws are expected."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.admin.models import Activity, Phase, Prize
from services.admin.simulation.curve import Curve, Stretch
from services.admin.simulation.job import MAX_WINS_OF_A_RUN, Job, Stake, Step
from services.admin.simulation.runner import Runner
from services.admin.simulation.summary import PrizeSummary
from services.admin.store import Store
from services.common.errors import (
    ActivityNotFoundError,
    ActivityNotOngoingError,
    InvalidArgumentError,
)

YEAR_S = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Expectation:
    """
    How draws are expected to arrive, and how often that is played.

    Args:
        draws_per_second: Evenly, until the activity ends; None: as *stretches* say.
        stretches: One after the other.
        runs: How often.
    """

    draws_per_second: float | None
    stretches: Sequence[Stretch]
    runs: int


@dataclass(frozen=True, slots=True)
class SimulationOutcome:
    """
    What came out.

    Args:
        runs: How often it was played.
        curve: How draws arrived.
        prizes: Each with what became of it.
    """

    runs: int
    curve: Curve
    prizes: Sequence[tuple[Prize, PrizeSummary]]

    @property
    def cost(self) -> Decimal:
        """What all that is given costs, on average."""
        return sum((cost_of(*prize) for prize in self.prizes), Decimal())


def cost_of(prize: Prize, summary: PrizeSummary) -> Decimal:
    """What the units given of *prize* cost, on average."""
    return prize.terms.unit_cost * Decimal(summary.given)


class Simulations:
    """Plays activities in advance."""

    def __init__(self, store: Store, runner: Runner) -> None:
        self._store = store
        self._runner = runner

    async def play(
        self, activity_id: int, expected: Expectation
    ) -> AsyncGenerator[Step | SimulationOutcome, None]:
        """
        Steps, and at last what came out.

        Raises:
            ActivityNotFoundError, ActivityNotOngoingError: There is none, or it has ended.
            InvalidArgumentError: It would be too much to play.
            OverloadedError, UnavailableError: Not at this moment.
        """
        activity, prizes, now = await self._read(activity_id)
        if activity.phase is Phase.ENDED:
            raise ActivityNotOngoingError(Phase.ENDED)
        job = Job(
            [_stake(prize) for prize in prizes],
            _stretches(expected, activity, now),
            expected.runs,
            secrets.randbits(64),
        )
        if job.wins_of_a_run > MAX_WINS_OF_A_RUN:
            field = "draws_per_second" if expected.draws_per_second else "arrivals"
            raise InvalidArgumentError(
                field, f"A run would have more than {MAX_WINS_OF_A_RUN} wins; expect fewer draws."
            )
        async with aclosing(self._runner.steps(job)) as steps:
            async for step in steps:
                if step.prizes is None:
                    yield step
                else:
                    paired = list(zip(prizes, step.prizes, strict=True))
                    yield SimulationOutcome(step.runs, job.curve, paired)

    async def _read(self, activity_id: int) -> tuple[Activity, list[Prize], datetime]:
        pool_id = await self._store.pool_of_activity(activity_id)
        if pool_id is None:
            raise ActivityNotFoundError
        async with self._store.snapshot() as rows:
            prizes = [
                prize for prize in await rows.prizes_of_pools([pool_id]) if not prize.is_deleted
            ]
            return await rows.activity_of_pool(pool_id), prizes, await rows.now()


def _stake(prize: Prize) -> Stake:
    weight = prize.terms.probability_ppb if prize.terms.is_enabled else 0
    return Stake(prize.remaining_count, weight)


def _stretches(expected: Expectation, activity: Activity, now: datetime) -> Sequence[Stretch]:
    if expected.draws_per_second is None:
        return expected.stretches
    begin, end = activity.terms.start_time, activity.terms.end_time
    start = now if begin is None else max(now, begin)
    seconds = YEAR_S if end is None else (end - start).total_seconds()
    return [Stretch(seconds, int(expected.draws_per_second * seconds))]

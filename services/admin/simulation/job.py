"""What a simulation is told and what it tells: lines of JSON between two processes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from services.admin.simulation.curve import Curve, Stretch
from services.admin.simulation.player import wins_of_a_run
from services.admin.simulation.summary import PrizeSummary, Quantiles, Regret
from services.pool.rule.selection import Mode
from services.pool.rule.terms import PoolConfig, PrizeConfig

MAX_WINS_OF_A_RUN = 500_000
FEWEST_RUNS = 20
_WINS_IN_ALL = 10_000_000  # some ten seconds of one core


class Stake(NamedTuple):
    """A prize in play: units left of it, and its chance in parts per billion; 0: not to be won."""

    units: int
    weight: int


@dataclass(frozen=True, slots=True)
class Job:
    """
    What is to be played.

    Args:
        stakes: The prizes in play, in the order of selection.
        stretches: How draws arrive.
        runs: How often.
        seed: Where the chances begin.
    """

    stakes: Sequence[Stake]
    stretches: Sequence[Stretch]
    runs: int
    seed: int

    @property
    def curve(self) -> Curve:
        """When draws arrive."""
        return Curve(self.stretches)

    @property
    def config(self) -> PoolConfig:
        """The pool as the engine knows it; a prize's id is its place among the stakes."""
        prizes = [
            PrizeConfig(at, stake.units, stake.weight) for at, stake in enumerate(self.stakes, 1)
        ]
        return PoolConfig(Mode.ODDS, tuple(prizes))

    @property
    def wins_of_a_run(self) -> float:
        """How many wins a run has at most, on average."""
        return wins_of_a_run(self.config, self.curve.draws)

    @property
    def affordable_runs(self) -> int:
        """How many are played: *runs*, or fewer where each has many wins."""
        affordable = int(_WINS_IN_ALL / max(1.0, self.wins_of_a_run))
        return min(self.runs, max(FEWEST_RUNS, affordable))

    def to_line(self) -> bytes:
        """As the player reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


def job_of(line: bytes | str) -> Job:
    """What to_line wrote."""
    said = json.loads(line)
    return Job(
        [Stake(*stake) for stake in said["stakes"]],
        [Stretch(**stretch) for stretch in said["stretches"]],
        said["runs"],
        said["seed"],
    )


@dataclass(frozen=True, slots=True)
class Step:
    """How far a simulation is; *prizes*: what came out, in the last one alone."""

    played: int
    runs: int
    prizes: Sequence[PrizeSummary] | None = None

    def to_line(self) -> str:
        """As the service reads it."""
        return json.dumps(asdict(self))


def step_of(line: bytes) -> Step:
    """What to_line wrote."""
    said = json.loads(line)
    prizes = said.pop("prizes")
    return Step(**said, prizes=None if prizes is None else [_summary(prize) for prize in prizes])


def _summary(said: dict[str, Any]) -> PrizeSummary:
    return PrizeSummary(
        stock_out_s=Quantiles(**said["stock_out_s"]),
        left=Quantiles(**said["left"]),
        chance_left=said["chance_left"],
        given=said["given"],
        findings=tuple(map(Regret, said["findings"])),
    )

"""
Plays an activity on the engine's own state, weights and selection.

A miss changes nothing in the pool, so the misses before a win are skipped at once: their number is
drawn from the geometric distribution that the engine's weights give. Every win is selected and
taken by the engine. Limits of users take no part: the draws are those that get through them.
"""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from services.pool.rule.engine import PoolState, configure
from services.pool.rule.selection import PPB, select
from services.pool.rule.terms import PoolConfig

NEVER = -1


@dataclass(frozen=True, slots=True)
class PlayedRuns:
    """
    What became of each prize, run by run.

    Args:
        sold_out_by: By prize: the draw that took its last unit; NEVER where some are left.
        left: By prize: units left in the end.
    """

    sold_out_by: list["array[int]"]
    left: list["array[int]"]

    @classmethod
    def none(cls, prizes: int) -> "PlayedRuns":
        """None yet, of so many *prizes*."""
        return cls([array("q") for _ in range(prizes)], [array("q") for _ in range(prizes)])


def play(config: PoolConfig, draws: int, runs: int, random: Random) -> Iterator[PlayedRuns]:
    """
    Play *config* again and again; after each run what became of all so far, the same object.

    Args:
        config: In mode ODDS, each prize with the units that are left of it.
        draws: How many draws a run has.
        runs: How often.
        random: Where the chances come from.
    """
    played = PlayedRuns.none(len(config.prizes))
    for _ in range(runs):
        state = PoolState()
        configure(state, 0, 1, config)
        sold_out = _play_once(state, draws, random)
        for index, prize in enumerate(config.prizes):
            played.sold_out_by[index].append(sold_out.get(index, NEVER))
            played.left[index].append(state.left[prize.prize_id] or 0)
        yield played


def _play_once(state: PoolState, draws: int, random: Random) -> dict[int, int]:
    """Prize index → the draw that took its last unit."""
    sold_out: dict[int, int] = {}
    uniform = random.random
    drawn = weight_sum = 0
    while state.weight_sum:
        if state.weight_sum != weight_sum:
            weight_sum = state.weight_sum
            misses_weigh = math.log1p(-weight_sum / PPB) if weight_sum < PPB else None
        drawn += 1 + (int(math.log(1.0 - uniform()) / misses_weigh) if misses_weigh else 0)
        if drawn > draws:
            break
        index = select(state.weights, int(uniform() * weight_sum))
        assert index is not None
        state.take(index)
        if state.weight_sum != weight_sum:
            sold_out[index] = drawn
    return sold_out


def wins_of_a_run(config: PoolConfig, draws: int) -> float:
    """How many wins a run has, about and at most: what playing it costs."""
    return sum(
        min(prize.units, draws * prize.weight / PPB) for prize in config.prizes if prize.enabled
    )

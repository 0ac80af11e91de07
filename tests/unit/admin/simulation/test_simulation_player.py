"""Simulated activities against exact arithmetic, and against the engine itself; fixed seeds."""

from collections import Counter
from math import comb
from random import Random

from scipy.stats import chisquare, ks_2samp

from services.admin.simulation.player import NEVER, PlayedRuns, play, wins_of_a_run
from services.pool.rule import engine
from services.pool.rule.selection import PPB, Mode
from services.pool.rule.terms import PoolConfig, PrizeConfig
from tests.support.draws import NO_BACKLOG_BOUND, intent

RUNS = 4000


def pool(*prizes: tuple[int, float], enabled: bool = True) -> PoolConfig:
    """A pool of prizes, each with its units and its chance."""
    return PoolConfig(
        Mode.ODDS,
        tuple(
            PrizeConfig(at, units, int(chance * PPB), enabled=enabled)
            for at, (units, chance) in enumerate(prizes, 1)
        ),
    )


def played(config: PoolConfig, draws: int, runs: int = RUNS) -> PlayedRuns:
    """All runs of *config*."""
    *_, last = play(config, draws, runs, Random(42))
    return last


def test_one_unit_goes_after_a_geometric_number_of_draws() -> None:
    """P(gone at draw n) = p (1 − p)^(n − 1), and it is left with (1 − p)^draws: chi-square."""
    p, draws = 0.2, 12
    runs = played(pool((1, p)), draws)
    seen = Counter(runs.sold_out_by[0])
    exact = [p * (1 - p) ** (n - 1) for n in range(1, draws + 1)] + [(1 - p) ** draws]
    observed = [seen[n] for n in range(1, draws + 1)] + [seen[NEVER]]
    assert chisquare(observed, [RUNS * chance for chance in exact]).pvalue > 0.05
    assert seen[NEVER] == sum(runs.left[0])


def test_units_given_of_two_prizes_are_multinomial() -> None:
    """With more units than draws, (given, given) is multinomial with the odds: chi-square."""
    p, q, draws = 0.3, 0.5, 4
    runs = played(pool((draws + 1, p), (draws + 1, q)), draws)
    cells = [(i, j) for i in range(draws + 1) for j in range(draws + 1 - i)]
    exact = [
        comb(draws, i) * comb(draws - i, j) * p**i * q**j * (1 - p - q) ** (draws - i - j)
        for i, j in cells
    ]
    given = Counter(
        (draws + 1 - a, draws + 1 - b) for a, b in zip(runs.left[0], runs.left[1], strict=True)
    )
    observed = [given[cell] for cell in cells]
    assert RUNS == sum(observed)
    assert chisquare(observed, [RUNS * chance for chance in exact]).pvalue > 0.05


def test_simulation_falls_as_the_engine_draws_one_by_one() -> None:
    """Stock-outs, whose share becomes misses, come when those of real draws come."""
    config, draws, runs = pool((2, 0.05), (5, 0.3), (1, 0.4)), 60, 400
    simulated = played(config, draws)
    drawn: list[list[int]] = [[], [], []]
    for run in range(runs):
        state = engine.PoolState()
        engine.configure(state, 0, 1, config)
        gone: dict[int, int] = {}
        for nth in range(1, draws + 1):
            wanted = [intent(nth, f"r{nth}", pool_id=run + 1)]
            engine.draw(state, wanted, 0, 0, NO_BACKLOG_BOUND)
            for index in range(3):
                if state.left[index + 1] == 0:
                    gone.setdefault(index, nth)
        for index in range(3):
            drawn[index].append(gone.get(index, NEVER))
    for mine, theirs in zip(simulated.sold_out_by, drawn, strict=True):
        assert ks_2samp(mine, theirs).pvalue > 0.05


def test_nothing_is_given_beyond_stock_or_of_what_cannot_be_won() -> None:
    """A certain prize ends with its stock; a disabled one, or one without odds, stays whole."""
    runs = played(pool((3, 1.0)), 10, runs=5)
    assert ([3] * 5, [0] * 5) == (list(runs.sold_out_by[0]), list(runs.left[0]))
    for config in (pool((3, 1.0), enabled=False), pool((3, 0.0)), pool((0, 0.5))):
        runs = played(config, 10, runs=5)
        assert [NEVER] * 5 == list(runs.sold_out_by[0])
        assert [config.prizes[0].units] * 5 == list(runs.left[0])


def test_same_seed_plays_the_same() -> None:
    """A result can be had again."""
    config = pool((5, 0.1), (9, 0.2))
    assert played(config, 100, runs=20) == played(config, 100, runs=20)


def test_wins_of_a_run_are_reckoned_before_it_is_played() -> None:
    """No more than the units, nor than the odds give; nothing of what is disabled."""
    assert 5 + 10 == round(wins_of_a_run(pool((5, 0.5), (100, 0.1)), 100))
    assert 0 == wins_of_a_run(pool((5, 0.5), enabled=False), 100)

"""P5: what falls over thousands of draws is what the theory says; the seeds are fixed."""

from collections import Counter
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis
from scipy.stats import chisquare

from services.pool.rule import engine
from services.pool.rule.selection import Mode
from services.pool.rule.terms import Drawn, PoolConfig, PrizeConfig
from services.pool.store.redis_store import RedisStore
from tests.support.draws import NO_BACKLOG_BOUND, intent, tickets

BOXES = 10_000


def first_order(box: int, config: PoolConfig, count: int) -> Sequence[Drawn]:
    """What the first order of *count* draws from a fresh box, each box with rolls of its own."""
    state = engine.PoolState()
    engine.configure(state, 0, 1, config)
    wanted = [intent(7, "order:a", count, pool_id=box)]
    return engine.draw(state, wanted, 0, 0, NO_BACKLOG_BOUND).answers[0].draws


def test_first_ticket_of_a_box_falls_as_its_stock_says() -> None:
    """Items by S/T, and tickets evenly: chi-square over ten thousand boxes."""
    stocks = [1, 2, 3, 4, 10]
    firsts = [first_order(box, tickets(*stocks), 1)[0] for box in range(1, BOXES + 1)]
    items = Counter(drawn.prize_id for drawn in firsts)
    observed = [items[prize_id] for prize_id in range(1, 6)]
    assert chisquare(observed, [BOXES * stock / 20 for stock in stocks]).pvalue > 0.05
    numbers = Counter(drawn.ticket for drawn in firsts)
    assert chisquare([numbers[ticket] for ticket in range(20)]).pvalue > 0.05


def test_best_item_falls_anywhere_in_a_box_with_equal_chance() -> None:
    """Without replacement, each of ten places is as good as the other: ten thousand boxes."""
    falls = Counter(
        [drawn.prize_id for drawn in first_order(box, tickets(1, 9), 10)].index(1)
        for box in range(1, BOXES + 1)
    )
    assert chisquare([falls[place] for place in range(10)]).pvalue > 0.05


@pytest.mark.parametrize("weights", [(1, 1), (1, 9, 90), (5, 10, 20, 65), (1_000_000, 3_000_000)])
async def test_infinite_items_fall_as_their_weights_say(
    redis: Redis, weights: tuple[int, ...]
) -> None:
    """Chi-square over ten thousand draws of the store, a hundred an order."""
    prizes = tuple(PrizeConfig(n, units=-1, weight=weight) for n, weight in enumerate(weights, 1))
    store = RedisStore(redis, NO_BACKLOG_BOUND)
    await store.configure(1, 0, 1, PoolConfig(Mode.WEIGHTS, prizes), "{}")
    won: Counter[int] = Counter()
    for nth in range(100):
        drawing = await store.draw(1, [intent(7, f"order:{nth}", 100)])
        won.update(drawn.prize_id for drawn in drawing.answers[0].draws)
    observed = [won[prize_id] for prize_id in range(1, len(weights) + 1)]
    expected = [10_000 * weight / sum(weights) for weight in weights]
    assert chisquare(observed, expected).pvalue > 0.05

"""How much is held back for draws that were lost: pure."""

import pytest
from kuji.draw.v1.pool_pb2 import PoolConfig, PoolPrize

from ops.rebuild.holds import held_for, holding


@pytest.mark.parametrize(
    ("left", "lost_draws", "held"),
    [
        ({1: 40, 2: 3}, 0, {}),
        ({1: 40, 2: 3, 3: 0}, 5, {1: 5, 2: 3}),
        ({1: 40, 2: 3}, 423, {1: 40, 2: 3}),
    ],
)
def test_each_prize_holds_what_all_lost_draws_may_have_won_of_it(
    left: dict[int, int], lost_draws: int, held: dict[int, int]
) -> None:
    """As many units as draws, or all that are left; nothing where nothing is lost."""
    assert held == held_for(left, lost_draws)


def test_what_is_held_is_out_of_the_units_that_can_be_won() -> None:
    """More, less, or nothing, the sum stays; what has no end, or has retired, holds nothing."""
    config = PoolConfig(
        prizes=[
            PoolPrize(prize_id=1, units=7, held_units=3),
            PoolPrize(prize_id=2, units=5),
            PoolPrize(prize_id=3, units=-1),
            PoolPrize(prize_id=4, units=5, retired=True),
        ]
    )

    def units() -> list[tuple[int, int]]:
        return [(prize.units, prize.held_units) for prize in config.prizes]

    assert not holding(config, {1: 3})
    assert holding(config, {1: 4, 2: 5, 4: 2})
    assert [(6, 4), (0, 5), (-1, 0), (5, 0)] == units()
    assert holding(config, {})
    assert [(10, 0), (5, 0), (-1, 0), (5, 0)] == units()

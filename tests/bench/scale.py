"""How much a run measures: the full one, and the smoke test, which only sees whether it works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """
    Sizes of a run.

    Args:
        rounds: How often A and B alternate; each figure is a median over them.
        users: Rows of the users table, and users of the large pools.
        few_users: Users of the small pool.
        unary_s: Length of one window of unary calls.
        sustained_s: Length of one window of batches.
        bare_draws: Draws of one window of the bare script.
        growth_draws: Draws of one window of the growth figures.
        history_rows: Rows of the long history.
        idle_pools: Pools of a stack in which nobody draws.
        idle_settle_s: Pause before it is looked at.
        idle_s: For how long it is looked at.
        players: Accounts that draw through the edge.
        whole_s: Length of one window of calls of a whole stack.
        profile_s: Length of one window in which it is looked where the time goes.
        list_pages: Pages of the winner list; more than the edge keeps.
        page_size: Winners on each.
        rush: Users of a contest's burst, each of whom draws once.
        crowd: Users of a contest in all; the sustained draws take who is left.
        contest_s: Length of one window of a contest's sustained draws.
        contest_rounds: How often the sides of a contest take turns at those.
        is_smoke: Whether the figures mean nothing, so that measures may share what they measure.
    """

    rounds: int
    users: int
    few_users: int
    unary_s: float
    sustained_s: float
    bare_draws: int
    growth_draws: int
    history_rows: int
    idle_pools: int
    idle_settle_s: float
    idle_s: float
    players: int
    whole_s: float
    profile_s: float
    list_pages: int
    page_size: int
    rush: int
    crowd: int
    contest_s: float
    contest_rounds: int
    is_smoke: bool = False


FULL = Scale(
    rounds=5,
    users=1_000_000,
    few_users=1_000,
    unary_s=6.0,
    sustained_s=30.0,
    bare_draws=400_000,
    growth_draws=80_000,
    history_rows=5_000_000,
    idle_pools=4_000,
    idle_settle_s=30.0,
    idle_s=60.0,
    players=10_000,
    whole_s=6.0,
    profile_s=10.0,
    list_pages=200,
    page_size=20,
    rush=10_000,
    crowd=400_000,
    contest_s=60.0,
    contest_rounds=1,
)
SMOKE = Scale(
    rounds=1,
    users=2_000,
    few_users=200,
    unary_s=0.3,
    sustained_s=0.3,
    bare_draws=1_000,
    growth_draws=400,
    history_rows=2_000,
    idle_pools=20,
    idle_settle_s=0.1,
    idle_s=0.2,
    players=80,
    whole_s=0.3,
    profile_s=0.5,
    list_pages=65,
    page_size=4,
    rush=60,
    crowd=2_000,
    contest_s=0.3,
    contest_rounds=1,
    is_smoke=True,
)

"""What one user may do in one pool: cooldown and quotas, as lua/include/users.lua has them."""

import math
from dataclasses import dataclass, field

from services.pool.rule.selection import Mode
from services.pool.rule.terms import (
    DAY_MS,
    UNLIMITED,
    Answer,
    DrawCode,
    PoolConfig,
    PrizeConfig,
    Quota,
)


@dataclass(slots=True)
class UserState:
    """
    What the limits know of a user.

    Args:
        last_ms: Of the newest draw; 0: none.
        day: The newest day on which it drew, in the pool's time zone, counted from the epoch. It
            only goes forward, whatever the time zone does.
        day_draws: Draws since that day began for it.
        wins_of: Wins by prize id.
    """

    last_ms: int = 0
    draws: int = 0
    day: int = 0
    day_draws: int = 0
    wins: int = 0
    wins_of: dict[int, int] = field(default_factory=dict)

    def today(self, config: PoolConfig, now_ms: int) -> int:
        """
        The user's day: that of the pool, unless the user drew on a later one already.

        A clock that is put back at midnight, or a time zone set back, gives no day twice.
        """
        return max(self.day, day_of(config, now_ms))

    def note_draw(self, config: PoolConfig, now_ms: int) -> None:
        """Count a draw."""
        today = self.today(config, now_ms)
        if today > self.day:
            self.day, self.day_draws = today, 0
        self.last_ms = now_ms
        self.draws += 1
        self.day_draws += 1

    def note_win(self, prize_id: int) -> None:
        """Count a win."""
        self.wins += 1
        self.wins_of[prize_id] = self.wins_of.get(prize_id, 0) + 1


def day_of(config: PoolConfig, now_ms: int) -> int:
    """Days from the epoch to *now_ms* in the pool's time zone."""
    return (now_ms + config.day_offset_ms) // DAY_MS


def prize_wins_left(prize: PrizeConfig, user: UserState) -> int | None:
    """Wins that *user* may still have of *prize*; None: no limit."""
    if not prize.wins_per_user:
        return None
    return max(0, prize.wins_per_user - user.wins_of.get(prize.prize_id, 0))


def allowance(config: PoolConfig, user: UserState, now_ms: int) -> tuple[int, int]:
    """
    Draws left (−1: no quota) and the earliest Unix ms of the next draw (0: at once).

    Where the day's quota is spent that is the next day; where the one in all is, there is none.
    """
    if not (config.draws_per_user or config.draws_per_day or config.cooldown_ms):
        return UNLIMITED, 0
    left, next_ms = math.inf, user.last_ms + config.cooldown_ms if user.last_ms else 0
    if config.draws_per_user:
        left = config.draws_per_user - user.draws
        if left <= 0:
            return 0, 0
    if config.draws_per_day:
        left_today = config.draws_per_day - _draws_today(config, user, now_ms)
        if left_today <= 0:
            next_ms = max(next_ms, _tomorrow_ms(config, user, now_ms))
        left = min(left, left_today)
    draws_left = UNLIMITED if left == math.inf else max(0, int(left))
    return draws_left, next_ms if next_ms > now_ms else 0


def limit_reached(config: PoolConfig, user: UserState, draws: int, now_ms: int) -> Answer | None:
    """The answer that refuses *user* to draw *draws* now; None: it may."""
    if 0 < config.draws_per_user < user.draws + draws:
        return Answer(DrawCode.QUOTA_SPENT, detail=Quota.DRAWS_PER_USER)
    if 0 < config.draws_per_day < _draws_today(config, user, now_ms) + draws:
        return Answer(DrawCode.QUOTA_SPENT, detail=Quota.DRAWS_PER_DAY)
    wins = 1 if config.mode is Mode.ODDS else draws
    if 0 < config.wins_per_user < user.wins + wins:
        return Answer(DrawCode.QUOTA_SPENT, detail=Quota.WINS_PER_USER)
    if config.cooldown_ms and user.last_ms:
        wait_ms = user.last_ms + config.cooldown_ms - now_ms
        if wait_ms > 0:
            return Answer(DrawCode.COOLDOWN, detail=wait_ms)
    return None


def _tomorrow_ms(config: PoolConfig, user: UserState, now_ms: int) -> int:
    return (user.today(config, now_ms) + 1) * DAY_MS - config.day_offset_ms


def _draws_today(config: PoolConfig, user: UserState, now_ms: int) -> int:
    return user.day_draws if user.day == user.today(config, now_ms) else 0

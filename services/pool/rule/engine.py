"""
The draw engine, pure: one pool's state, changed by one atomic step at a time.

No I/O, no clock, no randomness: time and rolls come from outside. It is the same rule, step for
step, as lua/draw.lua and lua/configure.lua; one set of tests holds both, and `kuji verify`
replays a ledger with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.pool.rule.draw_tickets import ticket_refusal
from services.pool.rule.limits import UserState, allowance, limit_reached, prize_wins_left
from services.pool.rule.prize_code import CODE_BYTES
from services.pool.rule.selection import PPB, ROLL_BYTES, Mode, select, uniform, weight_of
from services.pool.rule.terms import (
    DAY_MS,
    LATE_DRAWS,
    UNLIMITED,
    Answer,
    ConfigureCode,
    Configured,
    Confirm,
    DrawCode,
    Drawing,
    Drawn,
    Intent,
    Opening,
    PoolConfig,
    PoolStatus,
    PrizeConfig,
    Stock,
    Voided,
)

_WITHOUT_END = 1 << 60


@dataclass(slots=True)
class Request:
    """
    What a request id has drawn: *places* in the ledger from *first_seq*, for *draws* asked, at
    *drawn_ms*; places 0: it is void, and never draws.
    """

    first_seq: int
    places: int
    draws: int
    drawn_ms: int


@dataclass(slots=True)
class Requests:
    """Which request digests have drawn: *today* (UTC), and on the last day *before* that drew."""

    today: dict[bytes, Request] = field(default_factory=dict)
    before: dict[bytes, Request] = field(default_factory=dict)
    day: int = 0

    def get(self, digest: bytes) -> Request | None:
        """What *digest* drew; None: nothing that is known."""
        return self.today.get(digest) or self.before.get(digest)

    def at(self, now_ms: int) -> "Requests":
        """What is known at *now_ms*; a new day forgets those of before. These stay as they are."""
        day = now_ms // DAY_MS
        if day <= self.day:
            return self
        return Requests({}, self.today if self.day else {}, day)


@dataclass(slots=True)
class PoolState:
    """
    A pool, live.

    Args:
        prizes: Live prizes, in the order of selection; retired ones are out.
        left: Units left by prize id; None: unlimited.
        units: Units in all by prize id; −1: unlimited.
        weights: Weight of each live prize at this moment.
        requests: What each request digest drew.
        blocked: User id → Unix ms until which it is blocked, 0: for good.
        last_user, last_ms: Who made the newest draw, and when; 0: none yet.
        clock_us: The pool's time at its newest change, see clock.py; whoever has a clock keeps it.
        opened_ms: When a configuration last opened it, Unix ms; see Opening.
        late: Draws that users made at this configuration while nothing was left to be won.
        most_late: Beyond so many they make none.
    """

    version: int = 0
    config: PoolConfig | None = None
    seq: int = 0
    prizes: list[PrizeConfig] = field(default_factory=list)
    left: dict[int, int | None] = field(default_factory=dict)
    units: dict[int, int] = field(default_factory=dict)
    weights: list[int] = field(default_factory=list)
    weight_sum: int = 0
    prize_limits: bool = False
    last_prize: PrizeConfig | None = None
    users: dict[int, UserState] = field(default_factory=dict)
    requests: Requests = field(default_factory=Requests)
    blocked: dict[int, int] = field(default_factory=dict)
    last_user: int = 0
    last_ms: int = 0
    clock_us: int = 0
    opened_ms: int = 0
    late: int = 0
    most_late: int = LATE_DRAWS

    def take(self, index: int) -> None:
        """Take one unit of the live prize at *index*."""
        prize = self.prizes[index]
        left = self.left[prize.prize_id]
        if left is not None:
            self.left[prize.prize_id] = left - 1
            weight = _weight(self, prize)
            self.weight_sum += weight - self.weights[index]
            self.weights[index] = weight


def draw(
    state: PoolState,
    intents: Sequence[Intent],
    now_ms: int,
    recorded: int,
    max_backlog: int,
    is_behind: bool = False,
    clock_is_off: bool = False,
) -> Drawing:
    """
    Run *intents* in order.

    Args:
        state: Changed in place.
        intents: What is wanted.
        now_ms: Unix ms; see clock.py for what a store gives here.
        recorded: Newest seq in Postgres.
        max_backlog: Draws that may wait to be recorded.
        is_behind: Whether wins of this pool could not be confirmed by record in time.
        clock_is_off: The time is not known; *now_ms* is that of the newest change.
    """
    if state.config is None:
        return Drawing(now_ms, 0, [Answer(DrawCode.NOT_LOADED)] * len(intents))
    seq, requests = state.seq, state.requests
    state.requests = requests.at(now_ms)
    closed = _closed(state.config, now_ms, state.seq - recorded >= max_backlog, is_behind)
    timeless = Answer(DrawCode.CLOCK_OFF) if clock_is_off else None
    answers = [_answer(state, state.config, intent, now_ms, timeless, closed) for intent in intents]
    if state.seq == seq:  # nothing was drawn: nothing changes
        state.requests = requests
    return Drawing(now_ms, state.version, answers, confirm=state.config.confirm)


def opening(state: PoolState, now_ms: int) -> Opening | None:
    """What draw tickets are made of at *now_ms*; None: the pool is not loaded."""
    config = state.config
    if config is None:
        return None
    status = status_at(config, now_ms)
    return Opening(now_ms, status, _opening_ms(state, config), config.draw_tickets)


def void(state: PoolState, digest: bytes, draws: int, now_ms: int) -> Voided | None:
    """Make a request id draw nothing, unless it has drawn; None: the pool is not loaded."""
    if state.config is None:
        return None
    requests = state.requests.at(now_ms)
    request = requests.get(digest)
    if request is not None:
        return Voided(request.first_seq, request.places)
    requests.today[digest] = Request(0, 0, draws, now_ms)
    state.requests = requests
    return Voided(0, 0)


def status_at(config: PoolConfig, now_ms: int) -> PoolStatus:
    """Whether a pool draws at *now_ms*, and if not, why."""
    if config.status is PoolStatus.ENDED or 0 < config.end_ms <= now_ms:
        return PoolStatus.ENDED
    if config.status is PoolStatus.PAUSED:
        return PoolStatus.PAUSED
    return PoolStatus.PLANNED if now_ms < config.start_ms else PoolStatus.OPEN


def _closed(config: PoolConfig, now_ms: int, shed: bool, is_behind: bool) -> Answer | None:
    """The answer to every fresh draw while the pool takes none; else None."""
    status = status_at(config, now_ms)
    if status is not PoolStatus.OPEN:
        return Answer(DrawCode.NOT_ONGOING, detail=status)
    if shed:
        return Answer(DrawCode.BACKLOG)
    # Where a miss is possible draws go on: nothing is refused by its outcome.
    always_wins = config.mode is not Mode.ODDS
    is_stuck = is_behind and always_wins and config.confirm is Confirm.RECORDED
    return Answer(DrawCode.UNCONFIRMED) if is_stuck else None


def configure(
    state: PoolState, expected_version: int, version: int, config: PoolConfig, now_ms: int = 0
) -> Configured:
    """Make *config* the live one at *now_ms*; nothing changes unless the code is CONFIGURED."""
    if state.version != expected_version or version <= state.version:
        return Configured(ConfigureCode.CONFLICT, detail=state.version)
    ended = state.config is not None and state.config.status is PoolStatus.ENDED
    if ended and config.status is not PoolStatus.ENDED:
        return Configured(ConfigureCode.ENDED)
    stocks: list[Stock] = []
    for prize in config.prizes:
        stock = _stock_after(state, prize)
        if isinstance(stock, Configured):
            return stock
        stocks.append(stock)
    # One that was retired has no part in draws any more, and may be left out.
    live = {prize.prize_id for prize in state.prizes}
    missing = live - {prize.prize_id for prize in config.prizes}
    if missing:
        return Configured(ConfigureCode.PRIZE_CHANGED, detail=min(missing))
    # A pool that draws goes on; any other one is opened anew, now or at its start.
    if state.config is None or status_at(state.config, now_ms) is not PoolStatus.OPEN:
        state.opened_ms = now_ms
    state.late = 0
    _set_config(state, version, config, stocks)
    return Configured(ConfigureCode.CONFIGURED, state.seq, stocks)


def _stock_after(state: PoolState, prize: PrizeConfig) -> Stock | Configured:
    before = state.units.get(prize.prize_id)
    left = state.left.get(prize.prize_id, 0)
    if prize.retired:
        if before == UNLIMITED:
            return Stock(prize.prize_id, UNLIMITED, UNLIMITED)
        return Stock(prize.prize_id, (before or 0) - (left or 0), 0)
    if before is not None and (before < 0) != (prize.units < 0):
        return Configured(ConfigureCode.PRIZE_CHANGED, detail=prize.prize_id)
    if prize.units == UNLIMITED:
        return Stock(prize.prize_id, UNLIMITED, UNLIMITED)
    left = (left or 0) + prize.units - (before or 0)
    if left < 0:
        won = prize.units - left
        return Configured(ConfigureCode.UNITS_BELOW_WON, detail=prize.prize_id, won=won)
    return Stock(prize.prize_id, prize.units, left)


def _set_config(
    state: PoolState, version: int, config: PoolConfig, stocks: Sequence[Stock]
) -> None:
    state.version, state.config = version, config
    state.prizes = [prize for prize in config.prizes if not prize.retired]
    state.units = {stock.prize_id: stock.units for stock in stocks}
    state.left = {s.prize_id: None if s.left == UNLIMITED else s.left for s in stocks}
    state.weights = [_weight(state, prize) for prize in state.prizes]
    state.weight_sum = sum(state.weights)
    state.prize_limits = any(prize.wins_per_user for prize in state.prizes)
    extras = [prize for prize in state.prizes if prize.last_prize and prize.enabled]
    state.last_prize = extras[0] if extras else None


def _weight(state: PoolState, prize: PrizeConfig) -> int:
    assert state.config is not None
    if not prize.enabled or prize.last_prize:
        return 0
    return weight_of(state.config.mode, prize.weight, state.left[prize.prize_id])


def _answer(
    state: PoolState,
    config: PoolConfig,
    intent: Intent,
    now_ms: int,
    timeless: Answer | None,
    closed: Answer | None,
) -> Answer:
    user = state.users.get(intent.user_id) or UserState()
    request = state.requests.get(intent.digest)
    if request is not None:
        return _replay(config, user, intent, request, now_ms)
    if timeless is not None:
        return timeless
    until = state.blocked.get(intent.user_id)
    if until is not None and (until == 0 or now_ms < until):
        return Answer(DrawCode.BLOCKED)
    if closed is not None:
        return closed
    wait_ms = _protected_ms(state, config, intent.user_id, now_ms)
    if wait_ms > 0:
        return Answer(DrawCode.PROTECTED, detail=wait_ms)
    refusal = ticket_refusal(
        config.draw_tickets, _opening_ms(state, config), intent.draw_ticket, now_ms
    ) or limit_reached(config, user, intent.draws, now_ms)
    if refusal is not None:
        return refusal
    gone = _nothing_left(state, config, intent, user)
    return gone or _draw_all(state, config, intent, user, now_ms)


def _opening_ms(state: PoolState, config: PoolConfig) -> int:
    return max(state.opened_ms, config.start_ms)


def _protected_ms(state: PoolState, config: PoolConfig, user_id: int, now_ms: int) -> int:
    """How long the pool is somebody else's alone, ms."""
    if not config.protection_ms or state.last_user in (0, user_id):
        return 0
    return max(0, state.last_ms + config.protection_ms - now_ms)


def _replay(
    config: PoolConfig, user: UserState, intent: Intent, request: Request, now_ms: int
) -> Answer:
    if not request.places:
        return Answer(DrawCode.VOID)
    if request.draws != intent.draws:
        return Answer(DrawCode.REQUEST_ID_REUSED)
    draws_left, next_ms = allowance(config, user, now_ms)
    return Answer(DrawCode.REPLAYED, request.first_seq, request.places, draws_left, next_ms)


def _draw_all(
    state: PoolState, config: PoolConfig, intent: Intent, user: UserState, now_ms: int
) -> Answer:
    first_seq = state.seq + 1
    drawn: list[Drawn] = []
    for index in range(intent.draws):
        roll = intent.rolls[index * ROLL_BYTES : (index + 1) * ROLL_BYTES]
        drawn.append(_draw_one(state, config, user, roll, _code_bytes(intent, index)))
        user.note_draw(config, now_ms)
    extra = _draw_last_prize(state, user, _code_bytes(intent, intent.draws))
    if extra is not None:
        drawn.append(extra)
    state.seq += len(drawn)
    state.users[intent.user_id] = user
    state.last_user, state.last_ms = intent.user_id, now_ms
    state.requests.today[intent.digest] = Request(first_seq, len(drawn), intent.draws, now_ms)
    draws_left, next_ms = allowance(config, user, now_ms)
    return Answer(DrawCode.DRAWN, first_seq, len(drawn), draws_left, next_ms, drawn)


def _code_bytes(intent: Intent, index: int) -> bytes:
    return intent.codes[index * CODE_BYTES : (index + 1) * CODE_BYTES]


def _draw_one(
    state: PoolState, config: PoolConfig, user: UserState, roll: bytes, code_bytes: bytes
) -> Drawn:
    weights, weight_sum = _weights_for(state, config, user)
    total = PPB if config.mode is Mode.ODDS else weight_sum
    ticket = uniform(roll, total)
    index = select(weights, ticket)
    if index is None:
        return Drawn(0, ticket, total - weight_sum, total, b"")
    prize_id, weight = state.prizes[index].prize_id, weights[index]
    state.take(index)
    user.note_win(prize_id)
    return Drawn(prize_id, ticket, weight, total, code_bytes)


def _draw_last_prize(state: PoolState, user: UserState, code_bytes: bytes) -> Drawn | None:
    """The extra that goes with the last ticket, once."""
    prize = state.last_prize
    if prize is None or state.weight_sum > 0 or not state.left[prize.prize_id]:
        return None
    state.take(state.prizes.index(prize))
    user.note_win(prize.prize_id)
    return Drawn(prize.prize_id, 0, 1, 1, code_bytes)


def _weights_for(
    state: PoolState, config: PoolConfig, user: UserState
) -> tuple[Sequence[int], int]:
    """The weights and their sum as they are for this user."""
    odds = config.mode is Mode.ODDS
    spent = odds and 0 < config.wins_per_user <= user.wins
    if not spent and not state.prize_limits:
        return state.weights, state.weight_sum
    weights = [
        0 if spent or prize_wins_left(prize, user) == 0 else weight
        for prize, weight in zip(state.prizes, state.weights, strict=True)
    ]
    return weights, sum(weights)


def _nothing_left(
    state: PoolState, config: PoolConfig, intent: Intent, user: UserState
) -> Answer | None:
    """The answer where there is not enough to draw from; a late draw of a lottery is counted."""
    if config.mode is not Mode.ODDS:
        units = _available(state, user)
        return Answer(DrawCode.SOLD_OUT, detail=units) if units < intent.draws else None
    if intent.draw_ticket is None or not _is_won_out(state):  # a service's draw was paid for
        return None
    if state.late >= state.most_late:
        return Answer(DrawCode.NOTHING_TO_WIN)
    state.late += 1
    return None


def _is_won_out(state: PoolState) -> bool:
    """Whether all is gone that could be won."""
    return not state.weight_sum and any(one.enabled and one.weight for one in state.prizes)


def _available(state: PoolState, user: UserState) -> int:
    """Units that this user could still draw."""
    units = 0
    for prize, weight in zip(state.prizes, state.weights, strict=True):
        if weight:
            left = state.left[prize.prize_id]
            wins_left = prize_wins_left(prize, user)
            bounds = [bound for bound in (left, wins_left) if bound is not None]
            units += min(bounds, default=_WITHOUT_END)
    return units

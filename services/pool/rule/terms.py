"""What the engine keeps its pools in: the terms, and the interface that stores fulfil."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from services.pool.rule.selection import Mode

DAY_MS = 86_400_000
UNLIMITED = -1


class PoolStatus(IntEnum):
    """Whether a pool draws, apart from its time window; see kuji.draw.v1.PoolStatus."""

    PLANNED = 0  # only ever seen, never set: open, before its start
    OPEN = 1
    PAUSED = 2
    ENDED = 3


class Quota(IntEnum):
    """Which quota is spent."""

    DRAWS_PER_USER = 1
    DRAWS_PER_DAY = 2
    WINS_PER_USER = 3


class DrawCode(IntEnum):
    """What became of an intent; the header of lua/draw.lua has the same list."""

    DRAWN = 1
    REPLAYED = 2
    NOT_LOADED = -1
    NOT_ONGOING = -2
    COOLDOWN = -3
    QUOTA_SPENT = -4
    BLOCKED = -5
    SOLD_OUT = -6
    REQUEST_ID_REUSED = -7
    BACKLOG = -8
    PROTECTED = -9
    VOID = -10
    UNCONFIRMED = -11
    CLOCK_OFF = -12
    TICKET_REQUIRED = -13
    TICKET_EXPIRED = -14
    PUZZLE_UNSOLVED = -15
    TICKET_EARLY = -16
    NOTHING_TO_WIN = -17


# Draws that users still make, as misses, of a lottery with nothing left to be won.
LATE_DRAWS = 400


class Confirm(IntEnum):
    """What must hold of a win before it is announced; see kuji.draw.v1.Confirm."""

    STORE = 1
    REPLICA = 2
    RECORDED = 3


class ConfigureCode(IntEnum):
    """What became of a configuration."""

    CONFIGURED = 1
    CONFLICT = -1
    UNITS_BELOW_WON = -2
    PRIZE_CHANGED = -3
    ENDED = -4
    NOT_LOADED = -5
    CLOCK_OFF = -6


@dataclass(frozen=True, slots=True)
class PrizeConfig:
    """A prize of a pool; units −1: unlimited. See kuji.draw.v1.PoolPrize."""

    prize_id: int
    units: int
    weight: int = 0
    enabled: bool = True
    wins_per_user: int = 0
    retired: bool = False
    last_prize: bool = False
    name: str = ""
    image_url: str = ""


@dataclass(frozen=True, slots=True)
class TicketPolicy:
    """
    What a pool asks of draw tickets. See kuji.draw.v1.TicketPolicy.

    Args:
        required: Whether a user draws with a ticket only.
        difficulty: Leading zero bits that a ticket's puzzle asks for; 0: there is no puzzle.
        spread_ms: The first draws of an opening are spread over so long.
    """

    required: bool = False
    difficulty: int = 0
    spread_ms: int = 0


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """A pool's whole configuration; 0 means no limit. See kuji.draw.v1.PoolConfig."""

    mode: Mode
    prizes: tuple[PrizeConfig, ...]
    status: PoolStatus = PoolStatus.OPEN
    start_ms: int = 0
    end_ms: int = 0
    cooldown_ms: int = 0
    draws_per_user: int = 0
    draws_per_day: int = 0
    wins_per_user: int = 0
    day_offset_ms: int = 0
    activity_id: int = 0
    protection_ms: int = 0
    confirm: Confirm = Confirm.STORE
    draw_tickets: TicketPolicy = TicketPolicy()


class DrawTicket(NamedTuple):
    """
    What a genuine draw ticket says of itself, and what its solution is worth.

    Args:
        opening_ms: The opening that it was issued in, see Opening.
        not_before_ms: First instant at which it draws.
        expires_ms: First instant at which it draws no longer; 0: there is no ticket.
        difficulty: Leading zero bits that its puzzle asks for.
        solved_bits: Leading zero bits that the solution gives.
    """

    opening_ms: int
    not_before_ms: int
    expires_ms: int
    difficulty: int
    solved_bits: int


NO_TICKET = DrawTicket(0, 0, 0, 0, 0)


class Intent(NamedTuple):
    """
    A draw that somebody wants.

    Args:
        user_id: Drawn for.
        request_id: Printable ASCII: 1…64 characters, or an order's (services/common/orders.py).
        digest: 16 bytes, from fairness.request_digest.
        draws: How many at once, all or nothing, 1…100.
        rolls: 32 bytes for each of *draws*.
        codes: 5 secret bytes for the prize code of each of *draws*, and of a last prize.
        order: What the ledger is to know of the order that draws, packed; empty: there is none.
        draw_ticket: NO_TICKET where the user has none; None: nobody asks for one, since a service
            draws, or an order.
        address: Where the wish comes from, as services.common.addresses takes it; empty: not told.
            The last one: it goes no further than the list of blocks.
    """

    user_id: int
    request_id: str
    digest: bytes
    draws: int
    rolls: bytes
    codes: bytes
    order: bytes = b""
    draw_ticket: DrawTicket | None = None
    address: str = ""


class Blocked(NamedTuple):
    """The batch's intent at *place*, from 1, may not draw until *until_ms*; 0: for good."""

    place: int
    until_ms: int


class Drawn(NamedTuple):
    """
    One draw's outcome.

    Args:
        prize_id: 0 for a miss.
        ticket: The number drawn, 0 … total − 1.
        weight: Of this outcome then.
        total: All weights then.
        code_bytes: 5 bytes for the prize code; empty for a miss.
    """

    prize_id: int
    ticket: int
    weight: int
    total: int
    code_bytes: bytes


class Answer(NamedTuple):
    """
    What became of one intent.

    Args:
        code: Which of the following hold.
        first_seq: DRAWN, REPLAYED: place of its first draw in the ledger.
        places: DRAWN, REPLAYED: how many it takes, a last prize included.
        draws_left: DRAWN, REPLAYED: −1 without a quota.
        next_ms: DRAWN, REPLAYED: earliest Unix ms of the next draw; 0: at once.
        draws: DRAWN: its outcomes.
        detail: NOT_ONGOING: PoolStatus; COOLDOWN, PROTECTED, TICKET_EARLY: ms to wait;
            PUZZLE_UNSOLVED: leading zero bits that are asked for; QUOTA_SPENT: Quota;
            SOLD_OUT: units left.
    """

    code: DrawCode
    first_seq: int = 0
    places: int = 0
    draws_left: int = UNLIMITED
    next_ms: int = 0
    draws: Sequence[Drawn] = ()
    detail: int = 0


class Drawing(NamedTuple):
    """
    A batch's answers.

    Args:
        now_ms: The clock that held, Unix ms.
        version: The configuration that held.
        answers: One an intent, in order.
        chain: The ledger's newest link: 40 hexadecimal digits; "" before the first entry.
        confirm: What must hold of a win among them before it is announced.
        clock_us: The pool's time at its newest change, see rule/clock.py.
    """

    now_ms: int
    version: int
    answers: list[Answer]
    chain: str = ""
    confirm: Confirm = Confirm.STORE
    clock_us: int = 0


class Opening(NamedTuple):
    """
    What draw tickets are made of.

    Args:
        now_ms: The pool's time.
        status: At that time.
        opening_ms: When it last came to draw, or is going to: its start, or the configuration that
            opened it, whichever was later. It tells one opening from another.
        policy: What the pool asks of draw tickets.
    """

    now_ms: int
    status: PoolStatus
    opening_ms: int
    policy: TicketPolicy


class Voided(NamedTuple):
    """What a request id drew before it could be made void; places 0: nothing, and it never will."""

    first_seq: int
    places: int


class Stock(NamedTuple):
    """A prize's units in all and units left; −1: unlimited."""

    prize_id: int
    units: int
    left: int


@dataclass(frozen=True, slots=True)
class Configured:
    """
    What became of a configuration.

    Args:
        code: Which of the following hold.
        seq: CONFIGURED: the draws up to this one were before it.
        stocks: CONFIGURED: what resulted, retired prizes included.
        detail: CONFLICT: the live version; else the prize.
        won: UNITS_BELOW_WON: units won.
        clock_us: CONFIGURED: the pool's time at the change, see rule/clock.py.
    """

    code: ConfigureCode
    seq: int = 0
    stocks: Sequence[Stock] = ()
    detail: int = 0
    won: int = 0
    clock_us: int = 0


@dataclass(frozen=True, slots=True)
class LiveState:
    """
    A pool as it stands.

    Args:
        status: As configured, whatever the time window.
        weights: Prize id → weight at this moment, in the order of selection.
        odds_total: Denominator of the weights; 0: nothing can be drawn.
        last_ms: When the newest draw was made, Unix ms; 0: none yet.
        oldest_unrecorded_ms: When the oldest draw was made that is not in Postgres; 0: all are.
        users: Users who drew.
        ledger_entries: What the store still holds of the ledger.
        clock_us: The pool's time at its newest change, see clock.py.
        nothing_to_win: Whether users draw no more from a lottery: what could be won is gone, and
            the late draws are made.
    """

    pool_id: int
    version: int
    status: PoolStatus
    weights: Mapping[int, int]
    odds_total: int
    seq: int
    last_ms: int
    oldest_unrecorded_ms: int
    stocks: Sequence[Stock]
    users: int
    ledger_entries: int
    clock_us: int = 0
    nothing_to_win: bool = False


class PoolStore(Protocol):
    """Pools, each changed by one atomic step at a time."""

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """Run *intents* in order, atomically. TimeoutError or ConnectionError: outcome unknown."""

    async def configure(
        self, pool_id: int, expected_version: int, version: int, config: PoolConfig, document: str
    ) -> Configured:
        """Make the configuration equal to *config* (*document*: the same as JSON), atomically."""

    async def void(self, pool_id: int, digest: bytes, draws: int) -> Voided | None:
        """Make a request id draw nothing, atomically; None: the pool is not loaded."""

    async def opening(self, pool_id: int) -> Opening | None:
        """What draw tickets are made of at this moment; None when the pool is not loaded."""

    async def inspect(self, pool_id: int) -> LiveState | None:
        """The pool as it stands; None when it is not loaded."""

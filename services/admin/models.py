"""Activities and prizes as the administration knows them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from services.admin.etags import etag_of
from services.common.addresses import Network
from services.pool.configuration import MAX_PRIZES

MAX_LIVE_PRIZES = MAX_PRIZES
PPB = 1_000_000_000  # a probability of 1, in parts per billion


class PoolMode(StrEnum):
    """How a pool selects, as the database has it."""

    ODDS = "odds"
    TICKETS = "tickets"
    WEIGHTS = "weights"


class Wish(StrEnum):
    """What the operator wants of an activity; time decides the rest."""

    OPEN = "open"
    PAUSED = "paused"
    ENDED = "ended"


class ConfirmMode(StrEnum):
    """What an answered win has to survive; see kuji.draw.v1.Confirm."""

    STORE = "store"
    REPLICA = "replica"
    RECORDED = "recorded"


class Phase(StrEnum):
    """What an activity is at a moment."""

    PLANNED = "planned"
    ONGOING = "ongoing"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ActivityTerms:
    """
    What an operator sets of an activity. Limits: 0 means none.

    Args:
        name: 1…100 characters.
        description: At most 2000 characters.
        start_time: First instant that draws; aware, whole milliseconds. None: not before its
            operator says so.
        end_time: First instant that no longer draws, after start_time; None: no end.
        wish: Whether it may draw at all.
        cooldown_seconds: Least time between two draws of one user.
        max_draws_per_user: Draws of one user in all.
        max_draws_per_day: Draws of one user in a day.
        max_wins_per_user: Wins of one user.
        time_zone: IANA zone whose midnight begins a day.
        confirm: What an answered win has to survive.
        ticket_required: Whether users draw with a draw ticket only.
        ticket_difficulty: Leading zero bits that its puzzle asks for, 0…32.
        ticket_spread_ms: Users' first tickets of an opening start within so long.
    """

    name: str
    description: str
    start_time: datetime | None
    end_time: datetime | None
    wish: Wish
    cooldown_seconds: int
    max_draws_per_user: int
    max_draws_per_day: int
    max_wins_per_user: int
    time_zone: str
    confirm: ConfirmMode = ConfirmMode.STORE
    ticket_required: bool = False
    ticket_difficulty: int = 0
    ticket_spread_ms: int = 0

    def phase(self, now: datetime) -> Phase:
        """The phase at *now*: the same rule as the SQL function activity_status."""
        if self.wish is Wish.ENDED or (self.end_time is not None and now >= self.end_time):
            return Phase.ENDED
        if self.wish is Wish.PAUSED:
            return Phase.PAUSED
        has_begun = self.start_time is not None and now >= self.start_time
        return Phase.ONGOING if has_begun else Phase.PLANNED


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity as stored, and its phase when it was read."""

    activity_id: int
    pool_id: int
    seed_commitment: str
    phase: Phase
    created_at: datetime
    updated_at: datetime
    terms: ActivityTerms

    @property
    def etag(self) -> str:
        """Equal as long as nothing was edited."""
        return etag_of(f"activity:{self.activity_id}", self.terms)


@dataclass(frozen=True, slots=True)
class PrizeTerms:
    """
    What an operator sets of a prize.

    Args:
        name: 1…100 characters.
        description: At most 2000 characters.
        image_url: At most 2000 characters.
        total_count: Units in all, won ones included.
        probability_ppb: Chance of one draw in parts per billion, 0…10^9.
        is_enabled: Whether it can be won.
        max_wins_per_user: Wins of it per user; 0: no limit.
        unit_cost: What a unit costs the organiser, two decimals.
    """

    name: str
    description: str
    image_url: str
    total_count: int
    probability_ppb: int
    is_enabled: bool
    max_wins_per_user: int
    unit_cost: Decimal = Decimal("0.00")

    @property
    def can_be_won(self) -> bool:
        """Whether a draw may give it, as long as a unit is left."""
        return self.is_enabled and self.total_count > 0 and self.probability_ppb > 0


@dataclass(frozen=True, slots=True)
class Prize:
    """
    A prize as stored.

    Args:
        won_count: As far as it is recorded.
        held_count: Units held back: draws that were lost may have won them.
    """

    prize_id: int
    activity_id: int
    won_count: int
    is_deleted: bool
    created_at: datetime
    updated_at: datetime
    terms: PrizeTerms
    held_count: int = 0

    @property
    def drawn_from(self) -> int:
        """Units in all but for those held back."""
        return self.terms.total_count - self.held_count

    @property
    def etag(self) -> str:
        """Equal as long as nothing was edited; wins are no edits."""
        return etag_of(f"prize:{self.prize_id}", self.terms, self.is_deleted)

    @property
    def remaining_count(self) -> int:
        """Units neither won, as recorded, nor held back."""
        return self.drawn_from - self.won_count


Detail = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log; detail is JSON."""

    audit_id: int
    username: str
    action: str
    subject: str
    detail: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditSpan:
    """
    Which entries.

    Args:
        since: None: from the first one on.
        until: The first instant that is not among them; None: to the newest.
        subject: Of this alone, such as "prize:7"; empty: of all.
        after: Those with a greater number.
    """

    since: datetime | None = None
    until: datetime | None = None
    subject: str = ""
    after: int = 0


class ClaimCounts(NamedTuple):
    """Of a prize's wins: how many are handed out, how many taken away."""

    redeemed: int
    disqualified: int


@dataclass(frozen=True, slots=True)
class User:
    """An account; not active: blocked."""

    user_id: int
    username: str
    email: str
    created_at: datetime
    is_active: bool


@dataclass(frozen=True, slots=True)
class Block:
    """
    Who may not draw before *until* (None: for good), as stored when it was read.

    Args:
        user_id, username: A user; or 0 and "", and
        network: a range of addresses; else None.
    """

    block_id: int
    user_id: int
    username: str
    network: Network | None
    reason: str
    until: datetime | None
    created_at: datetime
    is_active: bool


@dataclass(frozen=True, slots=True)
class Offset:
    """A pool's time zone, and the offset from UTC that its newest configuration has, minutes."""

    pool_id: int
    time_zone: str
    minutes: int


class ExportedDraw(NamedTuple):
    """A recorded draw; prize_id None: a miss. Its odds were odds_weight / odds_total."""

    pool_id: int
    seq: int
    activity_id: int
    user_id: int
    username: str
    prize_id: int | None
    prize_name: str
    request_id: str
    odds_weight: int
    odds_total: int
    created_at: datetime
    prize_code: str
    email: str
    is_redeemed: bool
    is_disqualified: bool

    @property
    def claim_status(self) -> str:
        """open, redeemed or disqualified; empty for a miss."""
        if self.prize_id is None:
            return ""
        return (
            "disqualified" if self.is_disqualified else "redeemed" if self.is_redeemed else "open"
        )


@dataclass(frozen=True, slots=True)
class RecordSpan:
    """The draws *after*…*last* of a pool, the first excluded; won_only: without the misses."""

    pool_id: int
    after: int
    last: int
    won_only: bool

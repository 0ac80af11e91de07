"""Wins as somebody who hands prizes out knows them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ClaimStatus(StrEnum):
    """What became of a win."""

    OPEN = "open"
    REDEEMED = "redeemed"
    DISQUALIFIED = "disqualified"


@dataclass(frozen=True, slots=True)
class Win:
    """
    A win that is recorded.

    Args:
        activity_id: None: of a blind box.
        username, email: Empty where there is no such account.
        redeemed_at, redeemed_by, note: When, which operator, and its words; while it is redeemed.
        disqualified_at, disqualified_by, reason: Likewise.
        unit_returned: Whether its unit can be won once more.
    """

    prize_code: str
    pool_id: int
    seq: int
    activity_id: int | None
    user_id: int
    username: str
    email: str
    prize_id: int
    prize_name: str
    won_at: datetime
    redeemed_at: datetime | None
    redeemed_by: str | None
    note: str
    disqualified_at: datetime | None
    disqualified_by: str | None
    reason: str
    unit_returned: bool

    @property
    def status(self) -> ClaimStatus:
        """What became of it."""
        if self.disqualified_at is not None:
            return ClaimStatus.DISQUALIFIED
        return ClaimStatus.OPEN if self.redeemed_at is None else ClaimStatus.REDEEMED

"""What an audit finds."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong."""

    HALTED = "halted"
    RECORDS_MISSING = "records_missing"
    RECORDS_BEYOND = "records_beyond"
    POOL_COUNT = "pool_count"
    WON_COUNT = "won_count"
    WINNER_MISSING = "winner_missing"
    WINNER_UNFOUNDED = "winner_unfounded"
    WINNER_DIFFERS = "winner_differs"
    WINNER_NUMBERS = "winner_numbers"
    NOT_LOADED = "not_loaded"
    REDIS_BEHIND = "redis_behind"
    LEDGER_GAP = "ledger_gap"
    LEDGER_UNREADABLE = "ledger_unreadable"
    VERSIONS_DIFFER = "versions_differ"
    UNITS_DIFFER = "units_differ"
    OVERSOLD = "oversold"
    STOCK = "stock"
    USERS = "users"
    ITEM_MISSING = "item_missing"
    ITEM_UNFOUNDED = "item_unfounded"
    ITEM_DIFFERS = "item_differs"
    ITEM_NUMBERS = "item_numbers"
    ORDER_ITEMS = "order_items"
    ORDER_STUCK = "order_stuck"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that does not add up.

    Args:
        kind: What.
        pool_id: Where; None: in the global winner list.
        prize_id: Of which prize; None: of the pool.
        off_by: By how much: found − expected; 0 where there is nothing to count.
        detail: The sentence's remainder.
    """

    kind: Kind
    pool_id: int | None
    prize_id: int | None
    off_by: int
    detail: str

    def __str__(self) -> str:
        where = "winner list" if self.pool_id is None else f"pool {self.pool_id}"
        prize = f", prize {self.prize_id}" if self.prize_id is not None else ""
        off_by = f" (off by {self.off_by:+d})" if self.off_by else ""
        return f"{where}{prize}: {self.detail}{off_by}"

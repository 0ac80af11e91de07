"""Item cards, as their owners see them."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from services.common.postgres import load_queries

_queries = load_queries(__file__)
_AT_MOST = 1000
# By the status of the card's order; none: it never had one.
_STATUSES = {None: "unused", "released": "unused", "reserved": "reserved", "drawn": "used"}


class OwnedCard(NamedTuple):
    """An item card: goods_id None: for any goods; status unused, reserved or used."""

    item_card_id: int
    goods_id: int | None
    created_at: datetime
    status: str


class CardStore:
    """Reads item cards from Postgres."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def of_user(self, user_id: int) -> list[OwnedCard]:
        """The user's cards, newest first, at most 1000."""
        rows = _queries.item_cards(self._postgres, user_id=user_id, size=_AT_MOST)
        return [
            OwnedCard(card_id, goods_id, created_at, _STATUSES[status])
            async for card_id, goods_id, created_at, status in rows
        ]

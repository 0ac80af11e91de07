"""Activities and their prizes, as the public sees them."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from services.common.errors import ActivityNotFoundError
from services.common.postgres import load_queries

_queries = load_queries(__file__)
_NEWEST = 100


class ListedActivity(NamedTuple):
    """An activity; status is planned, ongoing, paused or ended at this moment."""

    activity_id: int
    name: str
    description: str
    start_time: datetime | None
    end_time: datetime | None
    status: str


class ListedPrize(NamedTuple):
    """A prize; its chance in parts per billion of 1."""

    prize_id: int
    name: str
    description: str
    image_url: str
    total_count: int
    remaining_count: int
    probability_ppb: int
    is_enabled: bool


class Catalogue(NamedTuple):
    """An activity, its prizes in the order of creation, and SHA-256 of its seed in hex."""

    activity: ListedActivity
    prizes: list[ListedPrize]
    seed_commitment: str


class CatalogueStore:
    """Reads activities and prizes from Postgres."""

    def __init__(self, postgres: asyncpg.Pool) -> None:
        self._postgres = postgres

    async def activities(self) -> list[ListedActivity]:
        """The newest ones, newest first."""
        rows = _queries.newest_activities(self._postgres, size=_NEWEST)
        return [ListedActivity(*row) async for row in rows]

    async def catalogue(self, activity_id: int) -> Catalogue:
        """
        An activity and its prizes; 0: of the one activity that is ongoing.

        Raises:
            ActivityNotFoundError: There is no such activity, or not exactly one ongoing.
        """
        activity_id = activity_id or await self._only_ongoing()
        row = await _queries.activity(self._postgres, activity_id=activity_id)
        if row is None:
            raise ActivityNotFoundError
        *activity, seed_commitment = row
        prizes = [
            ListedPrize(*prize)
            async for prize in _queries.prizes(self._postgres, activity_id=activity_id)
        ]
        return Catalogue(ListedActivity(*activity), prizes, seed_commitment)

    async def _only_ongoing(self) -> int:
        ids: list[int] = [row["id"] async for row in _queries.ongoing_activity_ids(self._postgres)]
        if not ids:
            raise ActivityNotFoundError("No activity is ongoing; name one by activity_id.")
        if len(ids) > 1:
            raise ActivityNotFoundError("Several activities are ongoing; name one by activity_id.")
        return ids[0]

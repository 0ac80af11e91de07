"""Whether those whom a service draws for exist: asked for where an installation wants it."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import asyncpg
from cachetools import LRUCache

from services.common.errors import KujiError, NotFoundError
from services.common.failures import to_kuji_error
from services.common.postgres import load_queries

_KEPT = 100_000
_queries: Any = load_queries(__file__)


class Users:
    """
    Knows users, who are never deleted: one that was found is remembered.

    Args:
        required: Whether users have to exist; else nobody is asked for.
    """

    def __init__(self, postgres: asyncpg.Pool, *, required: bool) -> None:
        self.are_required = required
        self._postgres = postgres
        self._known: LRUCache[int, bool] = LRUCache(_KEPT)

    async def refused(self, user_ids: Collection[int], deadline: float) -> Mapping[int, KujiError]:
        """
        Those of *user_ids* who may not be drawn for, and why: unknown, or not to be found out.

        Args:
            deadline: By the event loop's time.
        """
        if not self.are_required:
            return {}
        strangers = {user_id for user_id in user_ids if user_id not in self._known}
        if not strangers:
            return {}
        try:
            async with asyncio.timeout_at(deadline):
                rows = _queries.existing_users(self._postgres, user_ids=list(strangers))
                found = {row["id"] async for row in rows}
        except Exception as error:  # noqa: BLE001  # these users get it, and nobody else
            return dict.fromkeys(strangers, to_kuji_error(error, "existing_users"))
        self._known.update(dict.fromkeys(found, True))
        return {
            user_id: NotFoundError("There is no such user; nothing was drawn.")
            for user_id in strangers - found
        }

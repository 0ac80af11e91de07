"""Draws that the store's ledger should have, and has not."""

from typing import Any

import asyncpg

from services.common.errors import UnavailableError
from services.common.postgres import load_queries

_queries: Any = load_queries(__file__)


async def refuse_if_answered(postgres: asyncpg.Pool, pool_id: int, seq: int) -> None:
    """
    To be called when a draw is not in the ledger, before anybody says that there is none.

    Raises:
        UnavailableError: It was answered and is not recorded, so the ledger had it: the store is an
            older copy, or was emptied.
    """
    if await _queries.is_answered(postgres, pool_id=pool_id, seq=seq):
        raise UnavailableError("This draw was made, and its result is not readable yet.")

"""Addresses from which nobody logs in: operators have blocked them."""

import asyncpg

from services.common.addresses import parse_address
from services.common.errors import UserBlockedError
from services.common.postgres import load_queries

_queries = load_queries(__file__)
_BLOCKED = "Nobody registers or logs in from this address."


class AddressBlocks:
    """The blocks of addresses, as they are committed."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def check(self, address: str) -> None:
        """
        Raises where *address*, of a call's origin, is blocked.

        Raises:
            UserBlockedError: It is.
        """
        found = parse_address(address)
        if found is not None and await _queries.is_blocked(self._pool, address=found):
            raise UserBlockedError(_BLOCKED)

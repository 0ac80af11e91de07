"""Reference A2: each unit is a row; a winner takes one that nobody else is taking."""

from typing import Any

import asyncpg

from tests.bench.references.api import Chance
from tests.bench.references.in_postgres import application, queries


async def _insert(
    connection: asyncpg.pool.PoolConnectionProxy,
    activity_id: int,
    user_id: int,
    prize: Chance | None,
) -> Any:
    return await queries.insert_taken(
        connection,
        activity_id=activity_id,
        user_id=user_id,
        prize_id=prize.prize_id if prize else None,
        prize_name=prize.name if prize else None,
    )


app = application(_insert)

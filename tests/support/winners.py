"""Winners, as the recorder leaves them: rows without gaps, and a nudge."""

import asyncpg
from redis.asyncio import Redis

from services.pool.store.keys import FEED_CHANNEL

_RECORD = """
WITH counter AS (
    UPDATE winner_counter SET win_no = win_no + $1 RETURNING win_no
)
INSERT INTO winners (win_no, pool_id, pool_win_no, seq, activity_id, user_id, prize_id,
                     prize_name, prize_code, won_at)
SELECT win_no - $1 + n, $2, win_no - $1 + n, win_no - $1 + n, $2, 1, 7, 'A mug',
       'code-' || (win_no - $1 + n), clock_timestamp()
FROM counter, generate_series(1, $1::bigint) AS n
RETURNING win_no
"""


async def record_wins(
    postgres: asyncpg.Pool, redis: Redis, count: int, activity_id: int = 1
) -> list[int]:
    """Record *count* wins of an activity, at one blow; their numbers."""
    numbers = [row["win_no"] for row in await postgres.fetch(_RECORD, count, activity_id)]
    await redis.publish(FEED_CHANNEL, max(numbers))
    return sorted(numbers)

"""What others are told after a commit, and the trimming of what is recorded."""

from collections.abc import Sequence
from typing import cast

from redis.asyncio import Redis

from services.pool.store.keys import CONFIRM_CHANNEL, FEED_CHANNEL, RECORDED, key, ledger_key
from services.recorder.held import HeldPool
from services.recorder.recording import Recorded


class Outlet:
    """
    Tells the draw service how far ledgers are recorded, and readers that there are winners.

    Whoever waits for a win to be recorded is told in a channel of its own.

    Args:
        redis: Where.
        keep_draws: Recorded draws that stay in the stream.
    """

    def __init__(self, redis: Redis, keep_draws: int) -> None:
        self._redis = redis
        self._keep_draws = keep_draws
        self._trim_every = max(1, keep_draws // 10)

    async def announce(self, pools: Sequence[HeldPool]) -> dict[int, int]:
        """
        Say how far *pools* are recorded: a crash may have come before it was said.

        Returns:
            Pool id → how far it was said to be, where that was further.
        """
        if not pools:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            for pool in pools:
                pipe.set(key(pool.pool_id, RECORDED), pool.recorded_seq, get=True)
            told = await pipe.execute()
        return {
            pool.pool_id: int(seq)
            for pool, seq in zip(pools, told, strict=True)
            if int(seq or 0) > pool.recorded_seq
        }

    async def publish(self, pool: HeldPool, recorded: Recorded) -> None:
        """Say what a commit did, in one round trip."""
        seq = pool.recorded_seq = recorded.position.seq
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(key(pool.pool_id, RECORDED), seq)
            if recorded.win_no is not None:
                pipe.publish(FEED_CHANNEL, recorded.win_no)
            if recorded.is_awaited:
                pipe.publish(CONFIRM_CHANNEL, f"{pool.pool_id} {seq}")
            cut = seq - self._keep_draws
            if cut >= pool.trimmed_to + self._trim_every:
                pipe.xtrim(ledger_key(pool.pool_id), minid=cast(int, str(cut)), approximate=True)
                pool.trimmed_to = cut
            await pipe.execute()

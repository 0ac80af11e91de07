"""Reads single entries of a pool's ledger."""

from typing import NamedTuple

from redis.asyncio import Redis

from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.store.keys import RECORDED, key, ledger_key


class Found(NamedTuple):
    """An entry of the ledger, and whether its wins may be announced from there."""

    entry: DrawEntry
    may_be_told: bool


async def entry_of(redis: Redis, pool_id: int, seq: int) -> Found | None:
    """The ledger's entry with draw *seq*; None: it holds none, not yet or not any more."""
    async with redis.pipeline(transaction=True) as pipe:
        # A configuration noted at the same seq has a higher sub-id, so it comes after.
        pipe.xrange(ledger_key(pool_id), f"{seq}-0", "+", count=1)
        pipe.get(key(pool_id, RECORDED))
        entries, recorded = await pipe.execute()
    for stream_id, fields in entries:
        entry = decode_entry(stream_id, fields)
        if isinstance(entry, DrawEntry) and entry.first_seq <= seq:
            # A rebuild moves the position past what was lost, and empties the ledger of it first:
            # what the ledger has at the same moment, the recorder has written.
            return Found(entry, entry.announced or entry.last_seq <= int(recorded or 0))
    return None

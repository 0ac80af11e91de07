"""Reads single entries of a pool's ledger."""

from redis.asyncio import Redis

from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.store.keys import ledger_key


async def entry_of(redis: Redis, pool_id: int, seq: int) -> DrawEntry | None:
    """The ledger's entry with draw *seq*; None: it holds none, not yet or not any more."""
    # A configuration noted at the same seq has a higher sub-id, so it comes after.
    entries: list[tuple[bytes, dict[bytes, bytes]]]
    entries = await redis.xrange(ledger_key(pool_id), f"{seq}-0", "+", count=1)  # type: ignore[assignment]  # responses are bytes
    for stream_id, fields in entries:
        entry = decode_entry(stream_id, fields)
        if isinstance(entry, DrawEntry) and entry.first_seq <= seq:
            return entry
    return None

"""What Postgres has of the odds that draws had: typed rows over queries.sql."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)


class VersionRow(NamedTuple):
    """A recorded configuration of a pool, after draw *after_seq*; config and units are JSON."""

    pool_id: int
    version: int
    after_seq: int
    config: str
    units: str


async def versions(connection: Connection, since: Mapping[int, int]) -> AsyncIterator[VersionRow]:
    """The configurations of pools (id → the first version asked for), oldest first."""
    rows = _queries.versions(connection, pool_ids=list(since), versions=list(since.values()))
    async for row in rows:
        yield VersionRow(**row)


async def gaps(connection: Connection, pool_ids: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
    """First and last draw of each span that was never used, by pool."""
    found: dict[int, list[tuple[int, int]]] = {pool_id: [] for pool_id in pool_ids}
    async for row in _queries.gaps(connection, pool_ids=pool_ids):
        found[row["pool_id"]].append((row["first_seq"], row["last_seq"]))
    return found


async def last_win(connection: Connection, pool_id: int, prize_id: int, last_seq: int) -> int:
    """The last draw up to *last_seq* that won the prize; 0: none did."""
    seq = await _queries.last_win(connection, pool_id=pool_id, prize_id=prize_id, last_seq=last_seq)
    return int(seq or 0)

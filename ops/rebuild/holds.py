"""
Units held back for draws that were answered and lost: nobody knows which prizes they won.

What is held back is out of the units that a configuration can give, so the rule of a draw does
not know of it. Prizes say how many units that is (prizes.held_count), and each change of it is a
configuration with a cause.
"""

from collections.abc import Mapping
from typing import Any

from kuji.draw.v1 import pool_pb2

from ops.rebuild.facts import RecordedPosition
from services.common.postgres import Connection, load_queries

_queries: Any = load_queries(__file__)
Held = Mapping[int, int]  # prize id → units


def held_for(left: Mapping[int, int], lost_draws: int) -> dict[int, int]:
    """
    How many units of each prize so many lost draws may have won; prizes without any are left out.

    Args:
        left: Prize id → units left; prizes without end are not in it. A last prize is: it must not
            come with the last ticket that is left while others may be out.
        lost_draws: Each may have won a unit of any of them.
    """
    held = {prize_id: min(units, lost_draws) for prize_id, units in left.items()}
    return {prize_id: units for prize_id, units in held.items() if units > 0}


async def hold(connection: Connection, pool_id: int, lost_draws: int) -> Held:
    """Hold back what so many lost draws may have won, besides what is held already."""
    rows = _queries.left(connection, pool_id=pool_id)
    more = held_for({row["id"]: row["left"] async for row in rows}, lost_draws)
    await _queries.hold(connection, ids=list(more), units=list(more.values()))
    return more


async def release(connection: Connection, pool_id: int, keep: Held) -> Held:
    """Hold back no more than *keep* says; what is given back."""
    held = await held_in(connection, pool_id)
    back = {prize_id: units - keep.get(prize_id, 0) for prize_id, units in held.items()}
    back = {prize_id: units for prize_id, units in back.items() if units > 0}
    await _queries.hold(connection, ids=list(back), units=[-units for units in back.values()])
    return back


async def raise_mark(connection: Connection, pool_id: int, clock_us: int) -> None:
    """Note the time of a change, so that an older copy of the store is known for what it is."""
    await _queries.raise_mark(connection, pool_id=pool_id, clock_us=clock_us)


async def held_in(connection: Connection, pool_id: int) -> Held:
    """What is held back in a pool."""
    return {row["id"]: row["units"] async for row in _queries.held(connection, pool_id=pool_id)}


async def may_have_told_wins(
    connection: Connection, pool_id: int, recorded: RecordedPosition
) -> bool:
    """Whether wins that are not recorded may have been told: not where each waits for that."""
    newest = await _queries.newest_confirm(connection, pool_id=pool_id)
    # Of a configuration that is not recorded nobody knows for which draws it held.
    is_known = newest is not None and newest["version"] >= recorded.version
    return not (is_known and newest["confirm"] == "CONFIRM_RECORDED")


def holding(config: pool_pb2.PoolConfig, held: Held) -> bool:
    """Let *config* hold back so many units of its prizes; whether it did not before."""
    is_changed = False
    for prize in config.prizes:
        units = 0 if prize.retired else held.get(prize.prize_id, 0)
        if units != prize.held_units:
            prize.units += prize.held_units - units
            prize.held_units = units
            is_changed = True
    return is_changed

"""Wins and their claims in Postgres; statements within the caller's transaction."""

from services.admin.prize_codes.models import Win
from services.common.postgres import Connection, load_queries

_queries = load_queries(__file__)


async def win_of_code(connection: Connection, prize_code: str) -> Win | None:
    """The recorded win with this code; None: there is none."""
    row = await _queries.win_of_code(connection, prize_code=prize_code)
    return None if row is None else Win(**row)


async def code_of_draw(connection: Connection, pool_id: int, seq: int) -> str | None:
    """The code that a recorded draw won; None: it won nothing, or is not recorded."""
    code: str | None = await _queries.code_of_draw(connection, pool_id=pool_id, seq=seq)
    return code


async def is_recorded(connection: Connection, pool_id: int, seq: int) -> bool:
    """Whether the draw is recorded."""
    return bool(await _queries.is_recorded(connection, pool_id=pool_id, seq=seq))


async def redeem(connection: Connection, prize_code: str, redeemed_by: str, note: str) -> bool:
    """Note that an open win is handed out; False: it is not open."""
    done = await _queries.redeem(
        connection, prize_code=prize_code, redeemed_by=redeemed_by, note=note
    )
    return done is not None


async def undo_redemption(connection: Connection, prize_code: str) -> bool:
    """Open a redeemed win again; False: it is not redeemed."""
    return await _queries.undo_redemption(connection, prize_code=prize_code) is not None


async def disqualify(
    connection: Connection, prize_code: str, disqualified_by: str, reason: str, unit_returned: bool
) -> bool:
    """Disqualify an open win; False: it is not open."""
    done = await _queries.disqualify(
        connection,
        prize_code=prize_code,
        disqualified_by=disqualified_by,
        reason=reason,
        unit_returned=unit_returned,
    )
    return done is not None


async def is_published(connection: Connection, pool_id: int, cause: str) -> bool:
    """Whether the ledger has a configuration that was made for *cause*."""
    return bool(await _queries.is_published(connection, pool_id=pool_id, cause=cause))

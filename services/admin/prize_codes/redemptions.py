"""Prizes handed out: each code once, by whom and when."""

from services.admin.audit import AuditRecord, difference
from services.admin.editor import bounded
from services.admin.models import Detail
from services.admin.prize_codes import store
from services.admin.prize_codes.models import Win
from services.admin.store import Rows, Store
from services.common.context import RequestContext
from services.common.errors import ConflictError, NotFoundError


class Redemptions:
    """What somebody at the counter does with a prize code."""

    def __init__(self, database: Store) -> None:
        self._database = database

    async def find(self, prize_code: str) -> Win:
        """The win with this code; NotFoundError without one."""
        async with self._database.snapshot() as rows:
            return await win_of_code(rows, prize_code)

    async def redeem(self, ctx: RequestContext, prize_code: str, note: str) -> Win:
        """
        Hand out an open win, once.

        Raises:
            NotFoundError: No such code.
            ConflictError: It is redeemed or disqualified, by whom and when.
        """
        caller = ctx.require_caller()
        async with bounded(ctx), self._database.writing() as rows:
            win = await win_of_code(rows, prize_code)
            if not await store.redeem(rows.connection, prize_code, caller.username, note):
                raise not_open(await win_of_code(rows, prize_code))
            subject = f"prize_code:{prize_code}"
            redeemed = await win_of_code(rows, prize_code)
            detail = {**_whose(win), **changes(win, redeemed)}
            await rows.add_audit(AuditRecord(caller, "prize_code.redeem", subject, detail))
            return redeemed

    async def undo(self, ctx: RequestContext, prize_code: str) -> Win:
        """Take a redemption back; where there is none, nothing changes. NotFoundError: no code."""
        caller = ctx.require_caller()
        async with bounded(ctx), self._database.writing() as rows:
            win = await win_of_code(rows, prize_code)
            if await store.undo_redemption(rows.connection, prize_code):
                subject = f"prize_code:{prize_code}"
                detail = {**_whose(win), **changes(win, await win_of_code(rows, prize_code))}
                await rows.add_audit(AuditRecord(caller, "prize_code.undo", subject, detail))
            return await win_of_code(rows, prize_code)


async def win_of_code(rows: Rows, prize_code: str) -> Win:
    """The win with this code; NotFoundError without one."""
    win = await store.win_of_code(rows.connection, prize_code)
    if win is None:
        raise NotFoundError("There is no such prize code, or it is not recorded yet.")
    return win


def changes(before: Win, after: Win) -> Detail:
    """What became of a win, from what to what; for the audit log."""
    return {"status": {"from": before.status, "to": after.status}, **difference(before, after)}


def _whose(win: Win) -> Detail:
    return {"user_id": win.user_id, "prize_name": win.prize_name}


def not_open(win: Win) -> ConflictError:
    """Why nothing more happens to *win*: who did what with it, and when."""
    if win.disqualified_at is not None:
        return ConflictError(
            "This win was disqualified.",
            status=win.status,
            disqualified_at=win.disqualified_at.isoformat(),
            disqualified_by=win.disqualified_by,
        )
    assert win.redeemed_at is not None
    return ConflictError(
        "This prize was handed out already.",
        status=win.status,
        redeemed_at=win.redeemed_at.isoformat(),
        redeemed_by=win.redeemed_by,
    )

"""Wins taken away, with a reason; their unit can be given back to the pool."""

from dataclasses import replace

from kuji.admin.v1 import admin_pb2

from services.admin.approvals.second_person import SecondPerson
from services.admin.audit import AuditRecord, difference
from services.admin.editor import Edit, Editor, bounded
from services.admin.lottery.activity_edit import activity_of, prizes_of, publish
from services.admin.models import Phase, Prize
from services.admin.prize_codes import store
from services.admin.prize_codes.models import Win
from services.admin.prize_codes.redemptions import changes, not_open, win_of_code
from services.admin.store import Rows, Store
from services.common.context import Caller, RequestContext
from services.common.contract import stated_bounds
from services.common.draw_id import DrawId
from services.common.errors import InvalidArgumentError, NotFoundError

_UNITS = stated_bounds(admin_pb2.CreatePrizeRequest.DESCRIPTOR, "total_count")


class Disqualifications:
    """
    Takes wins away.

    A unit that is given back is one more unit of its prize, in the ledger as a configuration that
    names the draw as its cause: so it is given back once, wherever a crash comes.
    """

    def __init__(self, database: Store, editor: Editor, second_person: SecondPerson) -> None:
        self._database = database
        self._second_person = second_person
        self._editor = editor

    async def disqualify(
        self, ctx: RequestContext, draw_id: DrawId, reason: str, return_unit: bool
    ) -> Win:
        """
        Disqualify a recorded win.

        Args:
            reason: For the audit log and the books.
            return_unit: Whether its unit can be won once more: of an activity that has not ended.

        Raises:
            NotFoundError: No such draw.
            InvalidArgumentError: It won nothing, or its unit cannot be given back.
            ConflictError: It is redeemed or disqualified already.
            ApprovalNeededError: It needs a second person.
            UnavailableError: It may have been done: repeat it.
        """
        caller = ctx.require_caller()
        code = await self._code_of(draw_id)
        if not return_unit:
            async with bounded(ctx), self._database.writing() as rows:
                return await self._take(ctx, rows, code, reason, returns=False)

        async def edit(edit: Edit) -> Win:
            cause = f"disqualification:{draw_id}"
            win = await self._take(ctx, edit.rows, code, reason, returns=True)
            await _return_unit(edit, caller, win, cause)
            return win

        return await self._editor.edit(ctx, draw_id.pool_id, edit)

    async def _take(
        self, ctx: RequestContext, rows: Rows, code: str, reason: str, returns: bool
    ) -> Win:
        win, caller = await win_of_code(rows, code), ctx.require_caller()
        if not await store.disqualify(rows.connection, code, caller.username, reason, returns):
            raise not_open(await win_of_code(rows, code))
        subject = f"draw:{DrawId(win.pool_id, win.seq)}"
        taken = await win_of_code(rows, code)
        detail = {"user_id": win.user_id, "return_unit": returns, **changes(win, taken)}
        record = AuditRecord(caller, "draw.disqualify", subject, detail)
        await rows.add_audit(await self._second_person.clear(ctx, rows, record))
        return taken

    async def _code_of(self, draw_id: DrawId) -> str:
        async with self._database.snapshot() as rows:
            code = await store.code_of_draw(rows.connection, draw_id.pool_id, draw_id.seq)
            if code is not None:
                return code
            if await store.is_recorded(rows.connection, draw_id.pool_id, draw_id.seq):
                raise InvalidArgumentError("draw_id", "This draw won nothing.")
        raise NotFoundError("There is no such draw, or it is not recorded yet.")


async def _return_unit(edit: Edit, caller: Caller, win: Win, cause: str) -> None:
    # A crash after an earlier publication left it in the ledger, and this row was rolled back.
    if await store.is_published(edit.rows.connection, edit.pool_id, cause):
        return
    if win.activity_id is None:
        raise InvalidArgumentError("return_unit", "What a box holds is fixed.")
    if (await activity_of(edit)).terms.phase(edit.now) is Phase.ENDED:
        raise InvalidArgumentError("return_unit", "The activity has ended.")
    prize = _prize(await prizes_of(edit), win.prize_id)
    terms = replace(prize.terms, total_count=prize.terms.total_count + 1)
    await edit.rows.update_prize(win.prize_id, terms)
    detail = {"cause": cause, **difference(prize.terms, terms)}
    record = AuditRecord(caller, "prize.update", f"prize:{win.prize_id}", detail)
    await publish(edit, record, cause)


def _prize(prizes: list[Prize], prize_id: int) -> Prize:
    prize = next(prize for prize in prizes if prize.prize_id == prize_id)
    if prize.is_deleted:
        raise InvalidArgumentError("return_unit", "This prize was deleted.")
    if prize.terms.total_count >= _UNITS.max:
        raise InvalidArgumentError("return_unit", f"A prize has at most {_UNITS.max} units.")
    return prize

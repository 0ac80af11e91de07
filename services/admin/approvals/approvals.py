"""What waits for a second person: approved, rejected, withdrawn."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from services.admin.approvals import store
from services.admin.approvals.models import Approval, ApprovalStatus, ApprovedContext
from services.admin.approvals.second_person import close, decided
from services.admin.conflicts import OutdatedError
from services.admin.editor import bounded
from services.admin.store import Store
from services.common.context import Caller, RequestContext, Role
from services.common.errors import NotFoundError, PermissionDeniedError
from services.common.paging import Page

Call = Callable[[Any, RequestContext], Awaitable[Message]]
_OWN = "Another person has to approve what you asked for."


class Approvals:
    """
    What a second person does.

    Args:
        calls: Request type → the RPC that takes it. With an ApprovedContext it closes the approval
            in the transaction that makes the change.
    """

    def __init__(self, database: Store, calls: Mapping[type[Message], Call]) -> None:
        self._database = database
        self._calls = {of.DESCRIPTOR.full_name: (of, call) for of, call in calls.items()}

    async def list(self, status: str, page: Page) -> list[Approval]:
        """One page, newest first, and one more where a further page exists; status "": of all."""
        async with self._database.snapshot() as rows:
            return await store.page_of(rows.connection, status, page)

    async def approve(self, ctx: RequestContext, approval_id: int) -> Approval:
        """
        Do what waits, in the name of whoever asked for it.

        Raises:
            NotFoundError: No such approval.
            PermissionDeniedError: The caller asked for it.
            ConflictError: It does not wait any more, or what it changes was edited meanwhile.
            KujiError: What the call itself raises; it still waits then.
        """
        approver, approval = ctx.require_caller(), await self._find(approval_id)
        if approval.requested_by == approver.user_id:
            raise PermissionDeniedError(_OWN)
        if approval.status is not ApprovalStatus.PENDING:
            raise decided(approval)
        kind, call = self._calls[approval.request_type]
        try:
            await call(kind.FromString(approval.request), _approved(ctx, approver, approval))
        except OutdatedError:
            await self._close(ctx, approval_id, ApprovalStatus.OUTDATED)
            raise
        return await self._settled(ctx, approval_id)

    async def reject(self, ctx: RequestContext, approval_id: int) -> Approval:
        """
        Drop what waits. Where that was done before, nothing changes.

        Raises:
            NotFoundError: No such approval.
            ConflictError: It was approved.
        """
        approval, caller = await self._find(approval_id), ctx.require_caller()
        if approval.status is ApprovalStatus.APPROVED:
            raise decided(approval)
        if approval.status is not ApprovalStatus.PENDING:
            return approval
        is_own = approval.requested_by == caller.user_id
        status = ApprovalStatus.WITHDRAWN if is_own else ApprovalStatus.REJECTED
        return await self._close(ctx, approval_id, status)

    async def _settled(self, ctx: RequestContext, approval_id: int) -> Approval:
        """The approval of a call that was made; one that found nothing to change closed nothing."""
        approval = await self._find(approval_id)
        if approval.status is ApprovalStatus.PENDING:
            return await self._close(ctx, approval_id, ApprovalStatus.APPROVED)
        return approval

    async def _close(
        self, ctx: RequestContext, approval_id: int, status: ApprovalStatus
    ) -> Approval:
        caller = ctx.require_caller()
        async with bounded(ctx), self._database.writing() as rows:
            return await close(rows, approval_id, status, caller)

    async def _find(self, approval_id: int) -> Approval:
        async with self._database.snapshot() as rows:
            approval = await store.find(rows.connection, approval_id)
        if approval is None:
            raise NotFoundError("There is no such approval.")
        return approval


def _approved(ctx: RequestContext, approver: Caller, approval: Approval) -> ApprovedContext:
    # Its role was looked at when it asked, and is again in the transaction that makes the change.
    asked_by = Caller(approval.requested_by, approval.requested_name, Role.OPERATOR)
    return ApprovedContext(
        caller=asked_by,
        remaining_s=ctx.remaining_s,
        origin=ctx.origin,
        approval_id=approval.approval_id,
        approver=approver,
    )

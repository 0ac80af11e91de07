"""kuji.admin.v1.ApprovalService: messages to domain calls and back."""

from kuji.admin.v1 import approvals_pb2

from services.admin.approvals.approvals import Approvals
from services.admin.approvals.models import Approval
from services.common.context import RequestContext
from services.common.paging import page_of
from services.common.timestamps import optional_timestamp_of, timestamp_of


class ApprovalServicer:
    """What a second person does; see approvals.proto for effects and errors."""

    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    async def ListApprovals(
        self, request: approvals_pb2.ListApprovalsRequest, _ctx: RequestContext
    ) -> approvals_pb2.ListApprovalsResponse:
        """What waits, or was decided, newest first."""
        page = page_of(request)
        found = await self._approvals.list(request.status, page)
        return approvals_pb2.ListApprovalsResponse(
            approvals=[_message_of(approval) for approval in found[: page.size]],
            page=page.number,
            page_size=page.size,
            has_more=len(found) > page.size,
        )

    async def ApproveChange(
        self, request: approvals_pb2.ApproveChangeRequest, ctx: RequestContext
    ) -> approvals_pb2.ApproveChangeResponse:
        """Do what waits."""
        approval = await self._approvals.approve(ctx, request.approval_id)
        return approvals_pb2.ApproveChangeResponse(approval=_message_of(approval))

    async def RejectChange(
        self, request: approvals_pb2.RejectChangeRequest, ctx: RequestContext
    ) -> approvals_pb2.RejectChangeResponse:
        """Drop what waits."""
        approval = await self._approvals.reject(ctx, request.approval_id)
        return approvals_pb2.RejectChangeResponse(approval=_message_of(approval))


def _message_of(approval: Approval) -> approvals_pb2.Approval:
    return approvals_pb2.Approval(
        approval_id=approval.approval_id,
        status=approval.status,
        action=approval.action,
        subject=approval.subject,
        detail=approval.detail,
        requested_by=approval.requested_name,
        created_at=timestamp_of(approval.created_at),
        expires_at=timestamp_of(approval.expires_at),
        decided_by=approval.decided_name,
        decided_at=optional_timestamp_of(approval.decided_at),
    )

"""Changes that wait for a second person."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.common.context import Caller, RequestContext


class ApprovalStatus(StrEnum):
    """What became of a change."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class Approval:
    """
    A change that needs, or needed, a second person, as stored.

    Args:
        request_type: Full name of the request's message.
        request: The request itself, serialized.
        action, subject, detail: As the audit log would have it; detail is JSON.
        requested_by, requested_name: Who asked for it.
        expires_at: First instant at which it cannot be approved any more.
        decided_by, decided_name, decided_at: Who decided, and when; None, empty: nobody has.
    """

    approval_id: int
    request_type: str
    request: bytes
    action: str
    subject: str
    detail: str
    requested_by: int
    requested_name: str
    created_at: datetime
    expires_at: datetime
    status: ApprovalStatus
    decided_by: int | None
    decided_name: str
    decided_at: datetime | None


@dataclass(slots=True, kw_only=True)
class ApprovedContext(RequestContext):
    """
    A call that a second person has approved. Its caller is whoever asked for it.

    Args:
        approval_id: The approval that it closes.
        approver: The second person.
    """

    approval_id: int
    approver: Caller

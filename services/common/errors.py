"""Every way a call can fail, as domain errors. One table maps them to a transport: status.py."""

from typing import ClassVar

from kuji.common.v1.error_reason_pb2 import ErrorReason


class KujiError(Exception):
    """
    A failure with a reason from error_reason.proto.

    Args:
        message: One sentence for people.
        metadata: What the caller needs to act on it; values are shown as strings.
    """

    reason: ClassVar[ErrorReason.ValueType] = ErrorReason.ERROR_REASON_INTERNAL
    default_message: ClassVar[str] = "Something went wrong on our side."

    def __init__(self, message: str = "", **metadata: object) -> None:
        super().__init__(message or self.default_message)
        self.metadata = {key: str(value) for key, value in metadata.items()}

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self.args[0])

    @property
    def reason_name(self) -> str:
        """Name of the reason without its prefix, e.g. "COOLDOWN"."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")


class InternalError(KujiError):
    """A defect; leaves without detail."""


class UnauthenticatedError(KujiError):
    """No token, or a bad one."""

    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED
    default_message = "A valid access token is needed."


class PermissionDeniedError(KujiError):
    """The caller's role may not do this."""

    reason = ErrorReason.ERROR_REASON_PERMISSION_DENIED
    default_message = "Your role may not do this."


class InvalidArgumentError(KujiError):
    """A field is out of bounds or malformed."""

    reason = ErrorReason.ERROR_REASON_INVALID_ARGUMENT

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message, field=field)


class NotFoundError(KujiError):
    """No such thing."""

    reason = ErrorReason.ERROR_REASON_NOT_FOUND
    default_message = "There is no such thing."


class UnavailableError(KujiError):
    """The outcome may be unknown; the same request id resolves it."""

    reason = ErrorReason.ERROR_REASON_UNAVAILABLE
    default_message = (
        "Not available at this moment, and it may have been done or not. "
        "A draw is safe to repeat with the same request_id."
    )

    def __init__(self, message: str = "", retry_after_ms: int = 500) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)


class OverloadedError(KujiError):
    """Shed before anything was done."""

    reason = ErrorReason.ERROR_REASON_OVERLOADED
    default_message = "Too busy at this moment; nothing was done. Please repeat shortly."

    def __init__(self, message: str = "", retry_after_ms: int = 1000) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)


class RateLimitedError(KujiError):
    """Too many calls from one place."""

    reason = ErrorReason.ERROR_REASON_RATE_LIMITED
    default_message = "Too many calls. Please slow down."

    def __init__(self, message: str = "", retry_after_ms: int = 1000) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)


class UsernameTakenError(KujiError):
    """The username exists, in this or another case."""

    reason = ErrorReason.ERROR_REASON_USERNAME_TAKEN
    default_message = "This username is taken."

    def __init__(self) -> None:
        super().__init__(field="username")


class BadCredentialsError(KujiError):
    """Username or password is wrong; which, is not told."""

    reason = ErrorReason.ERROR_REASON_BAD_CREDENTIALS
    default_message = "Username or password is wrong."


class ActivityNotFoundError(KujiError):
    """No such activity."""

    reason = ErrorReason.ERROR_REASON_ACTIVITY_NOT_FOUND
    default_message = "There is no such activity."


class ActivityNotOngoingError(KujiError):
    """The activity does not draw at this moment."""

    reason = ErrorReason.ERROR_REASON_ACTIVITY_NOT_ONGOING

    def __init__(self, status: str) -> None:
        super().__init__(f"The activity is {status}.", status=status)


class CooldownError(KujiError):
    """Drawn again too soon."""

    reason = ErrorReason.ERROR_REASON_COOLDOWN
    default_message = "Too soon after your last draw."

    def __init__(self, retry_after_ms: int, message: str = "") -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)


class QuotaSpentError(KujiError):
    """A quota is spent: draws_per_user, draws_per_day or wins_per_user."""

    reason = ErrorReason.ERROR_REASON_QUOTA_SPENT
    default_message = "You have no draws left here."

    def __init__(self, quota: str) -> None:
        super().__init__(quota=quota)


class UserBlockedError(KujiError):
    """Blocked by an operator."""

    reason = ErrorReason.ERROR_REASON_USER_BLOCKED
    default_message = "This account, or this address, may not draw."


class TicketRequiredError(KujiError):
    """The activity draws with a draw ticket only."""

    reason = ErrorReason.ERROR_REASON_TICKET_REQUIRED
    default_message = "A draw ticket is needed here."


class TicketExpiredError(KujiError):
    """The draw ticket has expired, or is of an opening before this one."""

    reason = ErrorReason.ERROR_REASON_TICKET_EXPIRED
    default_message = "This draw ticket is no longer good. Ask for a fresh one."


class TicketInvalidError(KujiError):
    """The draw ticket is none that was issued to this user for this activity."""

    reason = ErrorReason.ERROR_REASON_TICKET_INVALID
    default_message = "This is no draw ticket of yours for this activity."


class PuzzleUnsolvedError(KujiError):
    """The solution is not one of the draw ticket's puzzle."""

    reason = ErrorReason.ERROR_REASON_PUZZLE_UNSOLVED
    default_message = "The puzzle of this draw ticket is not solved."

    def __init__(self, difficulty: int) -> None:
        super().__init__(difficulty=difficulty)


class SoldOutError(KujiError):
    """Not enough stock for this draw."""

    reason = ErrorReason.ERROR_REASON_SOLD_OUT
    default_message = "Not enough is left."

    def __init__(self, remaining: int) -> None:
        super().__init__(remaining=remaining)


class RequestIdReusedError(KujiError):
    """The request id named another draw before."""

    reason = ErrorReason.ERROR_REASON_REQUEST_ID_REUSED
    default_message = "This request_id was used for a different draw."

    def __init__(self) -> None:
        super().__init__(field="request_id")


class UnitsBelowWonError(KujiError):
    """A prize would have fewer units than winners."""

    reason = ErrorReason.ERROR_REASON_UNITS_BELOW_WON
    default_message = "More units than that are already won, or held back."

    def __init__(self, prize_id: int, won: int) -> None:
        super().__init__(prize_id=prize_id, won=won)


class ConflictError(KujiError):
    """Somebody else changed the same thing meanwhile."""

    reason = ErrorReason.ERROR_REASON_CONFLICT
    default_message = "Somebody else changed this meanwhile. Read it again."


class ApprovalPendingError(KujiError):
    """A second person has to approve the change first; it waits."""

    reason = ErrorReason.ERROR_REASON_APPROVAL_PENDING
    default_message = "Another person has to approve this first; it waits for that."

    def __init__(self, approval_id: int, expires_at: str) -> None:
        super().__init__(approval_id=approval_id, expires_at=expires_at)


class PoolNotLoadedError(KujiError):
    """The pool's stock is not in the store."""

    reason = ErrorReason.ERROR_REASON_POOL_NOT_LOADED
    default_message = "This draw is not loaded at this moment; an operator has to restore it."

    def __init__(self) -> None:
        super().__init__(retry_after_ms=5000)


class GoodsNotFoundError(KujiError):
    """No such goods (field "goods_id"), or no such box of them (field "num")."""

    reason = ErrorReason.ERROR_REASON_GOODS_NOT_FOUND

    def __init__(self, field: str = "goods_id") -> None:
        is_box = field == "num"
        super().__init__(
            "These goods have no such box." if is_box else "There are no such goods.", field=field
        )


class GoodsOffShelfError(KujiError):
    """The goods are off the shelf, or have ended."""

    reason = ErrorReason.ERROR_REASON_GOODS_OFF_SHELF
    default_message = "These goods are off the shelf."


class BoxProtectedError(KujiError):
    """The box is reserved for its current buyer."""

    reason = ErrorReason.ERROR_REASON_BOX_PROTECTED
    default_message = "This box is reserved for its current buyer at this moment."

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(retry_after_ms=retry_after_ms)


class OrderConflictError(KujiError):
    """The order number names another order."""

    reason = ErrorReason.ERROR_REASON_ORDER_CONFLICT
    default_message = "This order_num names another order."

    def __init__(self) -> None:
        super().__init__(field="order_num")


class ItemCardInvalidError(KujiError):
    """No such item card of the caller, or not for these goods."""

    reason = ErrorReason.ERROR_REASON_ITEM_CARD_INVALID
    default_message = "This item card is not valid here."


class ItemCardUsedError(KujiError):
    """The item card is used, or in use."""

    reason = ErrorReason.ERROR_REASON_ITEM_CARD_USED
    default_message = "This item card is used."


class ItemsFixedError(KujiError):
    """A box has been opened, so the items no longer change."""

    reason = ErrorReason.ERROR_REASON_ITEMS_FIXED
    default_message = "The items are fixed, since a box has been opened."

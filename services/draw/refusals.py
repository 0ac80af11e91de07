"""Why a pool gave no draw, as the error that its caller gets."""

from services.common.errors import (
    ActivityNotOngoingError,
    BoxProtectedError,
    ConflictError,
    CooldownError,
    KujiError,
    OverloadedError,
    PoolNotLoadedError,
    PuzzleUnsolvedError,
    QuotaSpentError,
    RequestIdReusedError,
    SoldOutError,
    TicketExpiredError,
    TicketRequiredError,
    UserBlockedError,
)
from services.pool.rule.terms import Answer, DrawCode, PoolStatus, Quota
from services.pool.store.redis_store import ClockOffError

_UNCONFIRMED = "Nothing can be confirmed at this moment, so nothing was drawn. Repeat it shortly."
_EARLY = "Too soon: this draw ticket names a later start."


def refusal_of(answer: Answer) -> KujiError:
    """The error that tells why *answer* is no draw."""
    match answer.code:
        case DrawCode.NOT_ONGOING:
            return ActivityNotOngoingError(PoolStatus(answer.detail).name.lower())
        case DrawCode.COOLDOWN:
            return CooldownError(answer.detail)
        case DrawCode.QUOTA_SPENT:
            return QuotaSpentError(Quota(answer.detail).name.lower())
        case DrawCode.SOLD_OUT:
            return SoldOutError(answer.detail)
        case DrawCode.PROTECTED:
            return BoxProtectedError(answer.detail)
        case DrawCode.UNCONFIRMED:
            return OverloadedError(_UNCONFIRMED)
        case DrawCode.PUZZLE_UNSOLVED:
            return PuzzleUnsolvedError(answer.detail)
        case DrawCode.TICKET_EARLY:
            return CooldownError(answer.detail, _EARLY)
    return _PLAIN_REFUSALS[answer.code]()


_PLAIN_REFUSALS: dict[DrawCode, type[KujiError]] = {
    DrawCode.NOT_LOADED: PoolNotLoadedError,
    DrawCode.BLOCKED: UserBlockedError,
    DrawCode.REQUEST_ID_REUSED: RequestIdReusedError,
    DrawCode.BACKLOG: OverloadedError,
    DrawCode.VOID: ConflictError,
    DrawCode.CLOCK_OFF: ClockOffError,
    DrawCode.TICKET_REQUIRED: TicketRequiredError,
    DrawCode.TICKET_EXPIRED: TicketExpiredError,
}

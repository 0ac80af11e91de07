"""What a servicer knows of a call, whatever transport brought it."""

from dataclasses import dataclass
from enum import StrEnum

from services.common.errors import UnauthenticatedError
from services.common.origin import NOWHERE, Origin


class Role(StrEnum):
    """What a caller may do."""

    USER = "user"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    SERVICE = "service"


# Those that are given to people who run Kuji; each may do what the one before it may.
STAFF = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who calls, as its verified access token says.

    Args:
        user_id: The user; 0 for a service.
        username: As registered; a service's name for a service.
        role: What it may do.
        session_id: The login that the token is of; empty: of none.
        generation: Of the account's tokens. When the account's is raised, those before are over.
    """

    user_id: int
    username: str
    role: Role
    session_id: str = ""
    generation: int = 0


@dataclass(slots=True)  # frozen, to make one takes 0.9 us instead of 0.3
class RequestContext:
    """
    One call.

    Args:
        caller: None where no token came with a public call.
        remaining_s: Seconds until the caller stops waiting; always finite.
        origin: Where it comes from.
        if_match: The etag of its header If-Match, see kuji/admin/v1/admin.proto; empty: none.
    """

    caller: Caller | None
    remaining_s: float
    origin: Origin = NOWHERE
    if_match: str = ""

    def require_caller(self) -> Caller:
        """The caller; UnauthenticatedError without one."""
        if self.caller is None:
            raise UnauthenticatedError
        return self.caller

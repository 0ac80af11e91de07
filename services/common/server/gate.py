"""Who may call: from a transport call and its RPC's access to a RequestContext, or a refusal."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
from kuji.common.v1 import access_pb2

from services.common.context import Caller, RequestContext
from services.common.errors import PermissionDeniedError, UnauthenticatedError, UnavailableError
from services.common.origin import ORIGIN_HEADERS, Origins
from services.common.roles import ROLES_OF_ACCESS
from services.common.server.load import Load
from services.common.server.patience import TimeBounds
from services.common.tokens import TokenVerifier

Call: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# Of a call's metadata, what is read here.
_Headers: TypeAlias = Mapping[str, str]
_READ = frozenset({"authorization", "if-match", *ORIGIN_HEADERS})
# Each look-up by name takes the generated enum a microsecond.
_PUBLIC = access_pb2.Access.ACCESS_PUBLIC
# Kept back from a caller's deadline, so that an answer with a reason arrives before it.
_MARGIN_S = 0.05


class Gate:
    """
    Admits calls.

    Args:
        calls: Those that are answered once.
        streams: Those that are answered as often as there is something to say.
        default_timeout_s: Bound of a call whose caller gives none.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        origins: Origins,
        calls: Load,
        streams: Load,
        default_timeout_s: float,
    ) -> None:
        self.calls = calls
        self.streams = streams
        self._verifier = verifier
        self._origins = origins
        self._default_timeout_s = default_timeout_s
        self.bounds = TimeBounds()

    def patience_s(self, call: Call) -> float:
        """How long the work for *call* may take."""
        remaining_s = call.time_remaining()
        if remaining_s is None:
            return self._default_timeout_s
        return float(max(remaining_s - _MARGIN_S, 0.0))

    async def admit(self, access: int, call: Call) -> RequestContext:
        """
        The context of *call*, an RPC of *access*.

        Raises:
            UnauthenticatedError: It needs a token, and has none or a bad one.
            PermissionDeniedError: The caller's role may not do this.
        """
        headers = _headers_of(call)
        caller = await self._admitted(access, headers)
        return self._context(caller, headers, call)

    def admit_known(self, access: int, call: Call) -> RequestContext | None:
        """
        As admit(), where it is to wait for nothing; None: *call* has to wait for something.

        Raises:
            UnauthenticatedError, PermissionDeniedError: As admit() does.
        """
        headers = _headers_of(call)
        token = None if access == _PUBLIC else _token_in(headers)
        caller = None if token is None else self._verifier.verified(token)
        if caller is None:
            return None
        _check_role(access, caller)
        return self._context(caller, headers, call)

    def _context(self, caller: Caller | None, headers: _Headers, call: Call) -> RequestContext:
        origin = self._origins.origin_of(headers, call.peer)
        return RequestContext(caller, self.patience_s(call), origin, _if_match(headers))

    async def _admitted(self, access: int, headers: _Headers) -> Caller | None:
        if access == _PUBLIC:
            # An expired token must not keep its holder from refreshing it, nor may one whose key
            # cannot be asked for.
            with suppress(UnauthenticatedError, UnavailableError):
                return await self._caller(headers)
            return None
        caller = await self._caller(headers)
        if caller is None:
            raise UnauthenticatedError
        _check_role(access, caller)
        return caller

    async def _caller(self, headers: _Headers) -> Caller | None:
        token = _token_in(headers)
        return None if token is None else await self._verifier.verify(token)


def _check_role(access: int, caller: Caller) -> None:
    if caller.role not in ROLES_OF_ACCESS[access]:
        raise PermissionDeniedError


def _headers_of(call: Call) -> _Headers:
    """What is read of its metadata; where a name is there more than once, the first of them."""
    metadata: Any = call.invocation_metadata() or ()
    return {key: value for key, value in reversed(metadata) if key in _READ}


def _token_in(headers: _Headers) -> str | None:
    authorization = headers.get("authorization")
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise UnauthenticatedError("The authorization header is not a bearer token.")
    return token.strip()


def _if_match(headers: _Headers) -> str:
    asked = headers.get("if-match")
    if asked is None:
        return ""
    # A header says it in quotes; any version at all is the same as none asked for.
    etag = asked.strip().removeprefix("W/").strip('"')
    return "" if etag == "*" else etag

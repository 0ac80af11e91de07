"""Who may call: from a transport call and its RPC's access to a RequestContext, or a refusal."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
from kuji.common.v1 import access_pb2

from services.common.context import Caller, RequestContext
from services.common.errors import PermissionDeniedError, UnauthenticatedError, UnavailableError
from services.common.origin import Origins
from services.common.roles import ROLES_OF_ACCESS
from services.common.server.load import Load
from services.common.server.patience import TimeBounds
from services.common.tokens import TokenVerifier

Call: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_Metadata = Iterable[tuple[str, str | bytes]]
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
        metadata = call.invocation_metadata() or ()
        caller = await self._admitted(access, metadata)
        return self._context(caller, metadata, call)

    def admit_known(self, access: int, call: Call) -> RequestContext | None:
        """
        As admit(), where it is to wait for nothing; None: *call* has to wait for something.

        Raises:
            UnauthenticatedError, PermissionDeniedError: As admit() does.
        """
        metadata = call.invocation_metadata() or ()
        token = _token_in(metadata)
        caller = None if token is None else self._verifier.verified(token)
        if caller is None:
            return None
        if access != _PUBLIC and caller.role not in ROLES_OF_ACCESS[access]:
            raise PermissionDeniedError
        return self._context(caller, metadata, call)

    def _context(self, caller: Caller | None, metadata: _Metadata, call: Call) -> RequestContext:
        origin = self._origins.origin_of(metadata, call.peer)
        return RequestContext(caller, self.patience_s(call), origin, _if_match(metadata))

    async def _admitted(self, access: int, metadata: _Metadata) -> Caller | None:
        if access == _PUBLIC:
            # An expired token must not keep its holder from refreshing it, nor may one whose key
            # cannot be asked for.
            with suppress(UnauthenticatedError, UnavailableError):
                return await self._caller(metadata)
            return None
        caller = await self._caller(metadata)
        if caller is None:
            raise UnauthenticatedError
        if caller.role not in ROLES_OF_ACCESS[access]:
            raise PermissionDeniedError
        return caller

    async def _caller(self, metadata: _Metadata) -> Caller | None:
        token = _token_in(metadata)
        return None if token is None else await self._verifier.verify(token)


def _token_in(metadata: _Metadata) -> str | None:
    for key, value in metadata:
        if key == "authorization":
            scheme, _, token = str(value).partition(" ")
            if scheme.lower() != "bearer":
                raise UnauthenticatedError("The authorization header is not a bearer token.")
            return token.strip()
    return None


def _if_match(metadata: _Metadata) -> str:
    for key, value in metadata:
        if key == "if-match":
            # A header says it in quotes; any version at all is the same as none asked for.
            etag = str(value).strip().removeprefix("W/").strip('"')
            return "" if etag == "*" else etag
    return ""

"""AuthService, between its messages and the domain."""

import json

from google.api import httpbody_pb2
from kuji.auth.v1 import auth_pb2

from services.auth.accounts import Accounts
from services.auth.address_blocks import AddressBlocks
from services.auth.keys import KeyRing
from services.auth.service_door import ServiceDoor
from services.auth.sessions import OpenSession, Session, Sessions
from services.auth.user_store import Profile
from services.common.addresses import network_of
from services.common.context import RequestContext
from services.common.timestamps import timestamp_of


class AuthServicer:
    """The RPCs of kuji.auth.v1.AuthService."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        door: ServiceDoor,
        ring: KeyRing,
        blocks: AddressBlocks,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._door = door
        self._ring = ring
        self._blocks = blocks

    async def Register(
        self, request: auth_pb2.RegisterRequest, ctx: RequestContext
    ) -> auth_pb2.RegisterResponse:
        """Create a user and log it in."""
        await self._blocks.check(ctx.origin.address)
        user = await self._accounts.register(
            request.username, request.password, request.email, network_of(ctx.origin.address)
        )
        return auth_pb2.RegisterResponse(
            session=_message_of(await self._sessions.open(user, ctx.origin.user_agent))
        )

    async def Login(
        self, request: auth_pb2.LoginRequest, ctx: RequestContext
    ) -> auth_pb2.LoginResponse:
        """Log a user in."""
        await self._blocks.check(ctx.origin.address)
        user = await self._accounts.authenticate(
            request.username, request.password, network_of(ctx.origin.address)
        )
        return auth_pb2.LoginResponse(
            session=_message_of(await self._sessions.open(user, ctx.origin.user_agent))
        )

    async def AdminLogin(
        self, request: auth_pb2.AdminLoginRequest, ctx: RequestContext
    ) -> auth_pb2.AdminLoginResponse:
        """Log an administrator in."""
        user = await self._accounts.authenticate_admin(
            request.username, request.password, network_of(ctx.origin.address)
        )
        return auth_pb2.AdminLoginResponse(
            session=_message_of(await self._sessions.open(user, ctx.origin.user_agent))
        )

    async def Refresh(
        self, request: auth_pb2.RefreshRequest, ctx: RequestContext
    ) -> auth_pb2.RefreshResponse:
        """Trade a refresh token for the next session."""
        await self._blocks.check(ctx.origin.address)
        session = await self._sessions.refresh(request.refresh_token)
        return auth_pb2.RefreshResponse(session=_message_of(session))

    async def Logout(
        self, request: auth_pb2.LogoutRequest, ctx: RequestContext
    ) -> auth_pb2.LogoutResponse:
        """End the caller's login."""
        await self._sessions.close(request.refresh_token, ctx.require_caller().user_id)
        return auth_pb2.LogoutResponse()

    async def LogoutAll(
        self, _request: auth_pb2.LogoutAllRequest, ctx: RequestContext
    ) -> auth_pb2.LogoutAllResponse:
        """End all logins of the caller."""
        await self._accounts.end_logins(ctx.require_caller())
        return auth_pb2.LogoutAllResponse()

    async def ChangePassword(
        self, request: auth_pb2.ChangePasswordRequest, ctx: RequestContext
    ) -> auth_pb2.ChangePasswordResponse:
        """Give the caller another password, and a login in place of all others."""
        user = await self._accounts.change_password(
            ctx.require_caller(),
            request.old_password,
            request.new_password,
            network_of(ctx.origin.address),
        )
        session = await self._sessions.open(user, ctx.origin.user_agent)
        return auth_pb2.ChangePasswordResponse(session=_message_of(session))

    async def ListSessions(
        self, _request: auth_pb2.ListSessionsRequest, ctx: RequestContext
    ) -> auth_pb2.ListSessionsResponse:
        """The caller's logins that go on."""
        found = await self._sessions.list(ctx.require_caller())
        return auth_pb2.ListSessionsResponse(sessions=map(_open_session_message_of, found))

    async def RevokeSession(
        self, request: auth_pb2.RevokeSessionRequest, ctx: RequestContext
    ) -> auth_pb2.RevokeSessionResponse:
        """End one of the caller's logins."""
        await self._sessions.revoke(request.session_id, ctx.require_caller())
        return auth_pb2.RevokeSessionResponse()

    async def GetProfile(
        self, _request: auth_pb2.GetProfileRequest, ctx: RequestContext
    ) -> auth_pb2.GetProfileResponse:
        """What the caller sees of itself."""
        profile = await self._accounts.profile(ctx.require_caller())
        return auth_pb2.GetProfileResponse(profile=_profile_message_of(profile))

    async def GetJwks(
        self, _request: auth_pb2.GetJwksRequest, _ctx: RequestContext
    ) -> httpbody_pb2.HttpBody:
        """The keys that verify access tokens."""
        return httpbody_pb2.HttpBody(
            content_type="application/json", data=json.dumps(self._ring.jwks()).encode()
        )

    async def IssueServiceToken(
        self, request: auth_pb2.IssueServiceTokenRequest, ctx: RequestContext
    ) -> auth_pb2.IssueServiceTokenResponse:
        """A token for a service that knows the secret."""
        token = self._door.token_for(request.service, request.secret, ctx.origin.peer)
        return auth_pb2.IssueServiceTokenResponse(access_token=token, expires_in=self._door.ttl_s)


def _message_of(session: Session) -> auth_pb2.Session:
    return auth_pb2.Session(
        user_id=session.user.user_id,
        username=session.user.username,
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_in=session.expires_in_s,
    )


def _open_session_message_of(session: OpenSession) -> auth_pb2.OpenSession:
    return auth_pb2.OpenSession(
        session_id=str(session.row.family),
        created_at=timestamp_of(session.row.created_at),
        last_used_at=timestamp_of(session.row.last_used_at),
        user_agent=session.row.user_agent,
        current=session.is_current,
    )


def _profile_message_of(profile: Profile) -> auth_pb2.Profile:
    drawn_at = profile.last_lottery_at
    return auth_pb2.Profile(
        user_id=profile.user_id,
        username=profile.username,
        email=profile.email,
        last_lottery_at=timestamp_of(drawn_at) if drawn_at else None,
        created_at=timestamp_of(profile.created_at),
    )

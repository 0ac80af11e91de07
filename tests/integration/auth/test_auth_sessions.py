"""Sessions that their owner sees and ends, passwords changed, accounts deactivated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from kuji.auth.v1 import auth_pb2

from services.auth.administration import Administration
from services.auth.login_store import RefreshTokenStore
from services.auth.user_store import UserStore
from tests.support.auth import (
    BAD_CREDENTIALS,
    PASSWORD,
    UNAUTHENTICATED,
    Failure,
    bearer,
    by_edge,
    connected,
    failure_of,
    listening,
    login,
    reason_of,
    refresh,
    register,
    serving,
)

if TYPE_CHECKING:
    from kuji.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub as Stub

NEW_PASSWORD = "another horse"
NOT_FOUND: Failure = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {})
BLOCKED: Failure = (grpc.StatusCode.PERMISSION_DENIED, "USER_BLOCKED", {})


@pytest.fixture
async def stub(postgres_dsn: str) -> AsyncIterator[Stub]:
    """A running service."""
    async with serving(postgres_dsn) as stub:
        yield stub


def profile(stub: Stub, session: auth_pb2.Session) -> Awaitable[Any]:
    """A call that needs a good access token."""
    return stub.GetProfile(auth_pb2.GetProfileRequest(), metadata=bearer(session.access_token))


async def until_over(stub: Stub, session: auth_pb2.Session) -> None:
    """Return when the access token is refused; it is told to each process within milliseconds."""
    async with asyncio.timeout(20):
        while await reason_of(profile(stub, session)) != "UNAUTHENTICATED":
            pass


async def sessions_of(stub: Stub, session: auth_pb2.Session) -> list[auth_pb2.OpenSession]:
    """What the list of sessions shows to the holder of this one."""
    request = auth_pb2.ListSessionsRequest()
    return list((await stub.ListSessions(request, metadata=bearer(session.access_token))).sessions)


async def change_password(
    stub: Stub, session: auth_pb2.Session, old: str = PASSWORD, new: str = NEW_PASSWORD
) -> auth_pb2.Session:
    """The session after a change of password."""
    request = auth_pb2.ChangePasswordRequest(old_password=old, new_password=new)
    metadata = bearer(session.access_token) + by_edge("192.0.2.1")
    return (await stub.ChangePassword(request, metadata=metadata)).session


def revoke(stub: Stub, session_id: str, by: auth_pb2.Session) -> Awaitable[Any]:
    """End a login by its id."""
    request = auth_pb2.RevokeSessionRequest(session_id=session_id)
    return stub.RevokeSession(request, metadata=bearer(by.access_token))


# ----------------------------------------------------------------- the list


async def test_sessions_are_listed_with_what_is_known_of_them(postgres_dsn: str) -> None:
    """The one used last first; the caller's own is marked; a refresh is the same session."""
    async with (
        listening(postgres_dsn) as address,
        connected(address) as stub,
        connected(address, "Kuji/1.0 (a phone)") as phone,
    ):
        first = await register(stub)
        await login(phone)
        own = await refresh(stub, first.refresh_token)
        shown = await sessions_of(stub, own)
    assert [True, False] == [session.current for session in shown]
    assert shown[1].user_agent.startswith("Kuji/1.0 (a phone)")
    assert shown[0].created_at.ToNanoseconds() < shown[0].last_used_at.ToNanoseconds()
    assert shown[1].created_at.ToNanoseconds() == shown[1].last_used_at.ToNanoseconds()
    assert len({session.session_id for session in shown}) == 2


async def test_sessions_that_are_over_are_not_listed(stub: Stub, postgres: asyncpg.Pool) -> None:
    """Neither expired nor logged out ones, nor somebody else's."""
    own, other, gone = await register(stub), await login(stub), await login(stub)
    await register(stub, "bob")
    request = auth_pb2.LogoutRequest(refresh_token=gone.refresh_token)
    await stub.Logout(request, metadata=bearer(own.access_token))
    assert len(await sessions_of(stub, own)) == 2
    mine = next(session for session in await sessions_of(stub, own) if session.current)
    await postgres.execute(
        "UPDATE refresh_tokens SET expires_at = now() WHERE family <> $1", mine.session_id
    )
    assert [mine] == await sessions_of(stub, own)
    assert await failure_of(refresh(stub, other.refresh_token)) == UNAUTHENTICATED


async def test_list_is_bounded(stub: Stub) -> None:
    """However often somebody logs in, the hundred used last are shown."""
    own = await register(stub)
    for _ in range(10):
        await asyncio.gather(*(login(stub) for _ in range(11)))
    assert len(await sessions_of(stub, own)) == 100


# --------------------------------------------------------------- ending one


async def test_session_is_over_at_once_when_its_owner_ends_it(stub: Stub) -> None:
    """Its refresh token, and its access token long before that expires; the others go on."""
    own, lost = await register(stub), await login(stub)
    (other,) = [session for session in await sessions_of(stub, own) if not session.current]
    await revoke(stub, other.session_id, own)
    assert await failure_of(refresh(stub, lost.refresh_token)) == UNAUTHENTICATED
    await until_over(stub, lost)
    assert len(await sessions_of(stub, own)) == 1
    assert await refresh(stub, own.refresh_token)


async def test_session_that_is_not_there_is_not_found(stub: Stub) -> None:
    """Unknown, malformed, over already, or somebody else's: all the same."""
    own, mallory = await register(stub), await register(stub, "mallory")
    (theirs,) = await sessions_of(stub, mallory)
    await login(stub)
    gone = (await sessions_of(stub, own))[0].session_id
    await revoke(stub, gone, own)
    for session_id in (str(uuid4()), "nonsense", theirs.session_id, gone):
        assert await failure_of(revoke(stub, session_id, own)) == NOT_FOUND
    assert await refresh(stub, mallory.refresh_token)


async def test_logging_out_everywhere_ends_all_logins(stub: Stub) -> None:
    """Every refresh token and access token of the caller, at once; nobody else's."""
    own, other, bob = await register(stub), await login(stub), await register(stub, "bob")
    spent = await refresh(stub, other.refresh_token)
    request = auth_pb2.LogoutAllRequest()
    await stub.LogoutAll(request, metadata=bearer(own.access_token))
    for session in (own, other, spent):
        assert await failure_of(refresh(stub, session.refresh_token)) == UNAUTHENTICATED
        await until_over(stub, session)
    assert await refresh(stub, bob.refresh_token)
    assert (await profile(stub, bob)).profile.username == "bob"
    assert (await profile(stub, await login(stub))).profile.username == "alice"


async def test_stolen_session_is_over_at_once_when_it_is_found_out(
    stub: Stub, postgres: asyncpg.Pool
) -> None:
    """A spent token that comes back ends the thief's access token too."""
    first = await register(stub)
    thiefs = await refresh(stub, first.refresh_token)
    await postgres.execute("UPDATE refresh_tokens SET created_at = now() - interval '1 minute'")
    assert await failure_of(refresh(stub, first.refresh_token)) == UNAUTHENTICATED
    await until_over(stub, thiefs)


# ----------------------------------------------------------------- passwords


async def test_changed_password_ends_all_other_logins(stub: Stub) -> None:
    """The caller gets a session; what the old password opened is over, and so is the password."""
    own, other = await register(stub), await login(stub)
    changed = await change_password(stub, own)
    for session in (own, other):
        assert await failure_of(refresh(stub, session.refresh_token)) == UNAUTHENTICATED
        await until_over(stub, session)
    assert (await profile(stub, changed)).profile.username == "alice"
    assert (await refresh(stub, changed.refresh_token)).user_id == own.user_id
    assert await failure_of(login(stub)) == BAD_CREDENTIALS
    assert (await login(stub, password=NEW_PASSWORD)).user_id == own.user_id


async def test_password_is_not_changed_without_the_old_one(stub: Stub) -> None:
    """A stolen access token does not suffice, and guesses are limited like those of a login."""
    own = await register(stub)
    assert await failure_of(change_password(stub, own, "wrong")) == BAD_CREDENTIALS
    guesses = [reason_of(change_password(stub, own, "wrong")) for _ in range(40)]
    assert "RATE_LIMITED" in await asyncio.gather(*guesses)
    assert (await profile(stub, own)).profile.username == "alice"


@pytest.mark.parametrize("password", ["short", "x" * 129])
async def test_new_password_has_to_keep_its_rule(stub: Stub, password: str) -> None:
    """8 to 128 characters; the field is named."""
    own = await register(stub)
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": "new_password"})
    assert expected == await failure_of(change_password(stub, own, new=password))


async def test_one_change_wins_when_two_come_at_once(stub: Stub) -> None:
    """Both know the old password; the second one finds that it is no longer that."""
    own, other = await register(stub), await login(stub)
    reasons = await asyncio.gather(
        reason_of(change_password(stub, own, new="from here on")),
        reason_of(change_password(stub, other, new="from there on")),
    )
    assert reasons.count("OK") == 1
    assert {"CONFLICT", "BAD_CREDENTIALS", "UNAUTHENTICATED"} & set(reasons)


async def test_login_under_way_does_not_survive_a_changed_password(
    stub: Stub, postgres: asyncpg.Pool
) -> None:
    """Checked before, opened after: whoever knew the old password gets no session by it."""
    await register(stub)
    users, tokens = UserStore(postgres), RefreshTokenStore(postgres, 900)
    checked = await users.find("alice")
    assert checked is not None
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE users SET token_generation = token_generation + 1")
        opening = asyncio.create_task(tokens.open(b"hash", uuid4(), checked, 60.0, ""))
        await until_blocked(postgres)
    assert not await opening
    now = await users.find("alice")
    assert now is not None
    assert await tokens.open(b"hash", uuid4(), now, 60.0, "")


async def until_blocked(postgres: asyncpg.Pool) -> None:
    """Return when a statement waits for somebody's lock."""
    async with asyncio.timeout(20):
        while not await postgres.fetchval(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass


# -------------------------------------------------------------- deactivation


async def test_deactivated_account_can_do_nothing_at_once(
    stub: Stub, postgres: asyncpg.Pool
) -> None:
    """No login, no refresh, no access token; who guesses at it learns nothing of that."""
    own, bob = await register(stub), await register(stub, "bob")
    administration = Administration(postgres, "a test")
    assert await administration.set_active("ALICE", active=False)
    assert not await administration.set_active("alice", active=False)
    assert await failure_of(refresh(stub, own.refresh_token)) == UNAUTHENTICATED
    assert await failure_of(login(stub)) == BLOCKED
    assert await failure_of(login(stub, password="wrong horse")) == BAD_CREDENTIALS
    await until_over(stub, own)
    assert await refresh(stub, bob.refresh_token)


async def test_activated_account_logs_in_again(stub: Stub, postgres: asyncpg.Pool) -> None:
    """What was over stays over."""
    own = await register(stub)
    administration = Administration(postgres, "a test")
    await administration.set_active("alice", active=False)
    await administration.set_active("alice", active=True)
    assert (await profile(stub, await login(stub))).profile.username == "alice"
    assert await failure_of(refresh(stub, own.refresh_token)) == UNAUTHENTICATED
    await until_over(stub, own)

"""The auth service over gRPC, on a real Postgres."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import grpc
import jwt
import pytest
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from services.auth.assembly import open_auth
from services.auth.settings import AuthSettings
from services.common.server.serve import build_server
from services.common.status import error_info_of

if TYPE_CHECKING:
    from kuji.auth.v1.auth_pb2_grpc import AuthServiceAsyncStub as Stub

PASSWORD = "correct horse"
ADMIN_PASSWORD = "battery staple"
SERVICE_SECRET = "sixteen or more characters"

Failure = tuple[grpc.StatusCode, str, dict[str, str]]  # with the reason and its metadata


def settings_of(dsn: str, **changes: Any) -> AuthSettings:
    """Settings for tests: cheap hashes, a free port."""
    return AuthSettings.model_validate(
        {
            "listen": "127.0.0.1:0",
            "postgres_dsn": dsn,
            "token_key_secret": "5e" * 32,
            "service_secret": SERVICE_SECRET,
            "admin_password": ADMIN_PASSWORD,
            "argon2_memory_kib": 64,
            **changes,
        }
    )


@asynccontextmanager
async def serving(dsn: str, **changes: Any) -> AsyncIterator[Stub]:
    """A stub of a running service."""
    settings = settings_of(dsn, **changes)
    async with open_auth(settings) as auth:
        server, port, _ = build_server([auth.implementation], auth.verifier, settings)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield auth_pb2_grpc.AuthServiceStub(channel)
        finally:
            await server.stop(0)


@pytest.fixture
async def stub(postgres_dsn: str) -> AsyncIterator[Stub]:
    """A stub of a running service with default lives and an administrator."""
    async with serving(postgres_dsn) as stub:
        yield stub


async def register(stub: Stub, username: str = "alice", email: str = "") -> auth_pb2.Session:
    """A new user's session."""
    request = auth_pb2.RegisterRequest(username=username, password=PASSWORD, email=email)
    return (await stub.Register(request)).session


async def refresh(stub: Stub, refresh_token: str) -> auth_pb2.Session:
    """The next session."""
    return (await stub.Refresh(auth_pb2.RefreshRequest(refresh_token=refresh_token))).session


def bearer(access_token: str) -> tuple[tuple[str, str], ...]:
    """The metadata that carries a token."""
    return (("authorization", f"Bearer {access_token}"),)


async def failure_of(call: Awaitable[Any]) -> Failure:
    """Status, reason and metadata of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info_of(caught.value)
    assert info is not None
    return caught.value.code(), info.reason, dict(info.metadata)


UNAUTHENTICATED: Failure = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", {})
BAD_CREDENTIALS: Failure = (grpc.StatusCode.UNAUTHENTICATED, "BAD_CREDENTIALS", {})


# ------------------------------------------------------------------ register


async def test_registering_logs_in(stub: Stub) -> None:
    """A new user gets a session whose tokens work."""
    session = await register(stub, "Alice.1")
    assert (session.username, session.expires_in) == ("Alice.1", 900)
    assert session.user_id > 0
    assert (await refresh(stub, session.refresh_token)).user_id == session.user_id


async def test_access_token_says_who_and_for_how_long(stub: Stub) -> None:
    """RS256 under a published kid; the claims are the ones that verifiers check."""
    session = await register(stub)
    jwks = json.loads((await stub.GetJwks(auth_pb2.GetJwksRequest())).data)
    kid = jwt.get_unverified_header(session.access_token)["kid"]
    key = jwt.PyJWKSet.from_dict(jwks)[kid]
    claims = jwt.decode(session.access_token, key, ["RS256"], audience="kuji", issuer="kuji")
    assert (str(session.user_id), "alice", "user") == (
        claims["sub"],
        claims["name"],
        claims["role"],
    )
    assert claims["exp"] - claims["iat"] == 900
    assert claims["jti"]


async def test_username_is_taken_when_it_exists_in_another_case(stub: Stub) -> None:
    """ALICE cannot register beside alice."""
    await register(stub, "alice")
    expected = (grpc.StatusCode.ALREADY_EXISTS, "USERNAME_TAKEN", {"field": "username"})
    assert expected == await failure_of(register(stub, "ALICE"))


async def test_one_registration_wins_when_many_want_the_name_at_once(stub: Stub) -> None:
    """The database decides: of 20 at once one gets the name, the others USERNAME_TAKEN."""
    names = ["alice", "ALICE"] * 10
    answers = await asyncio.gather(
        *(register(stub, name) for name in names), return_exceptions=True
    )
    errors = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(errors) == 19
    assert {grpc.StatusCode.ALREADY_EXISTS} == {error.code() for error in errors}


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("username", auth_pb2.RegisterRequest(username="al", password=PASSWORD)),
        ("username", auth_pb2.RegisterRequest(username="a' OR 1=1 --", password=PASSWORD)),
        ("username", auth_pb2.RegisterRequest(username="alice\x00", password=PASSWORD)),
        ("password", auth_pb2.RegisterRequest(username="alice", password="short")),
        (
            "email",
            auth_pb2.RegisterRequest(username="alice", password=PASSWORD, email="no\x00@b.c"),
        ),
    ],
)
async def test_registering_names_the_field_when_one_is_unfit(
    field: str, request_: auth_pb2.RegisterRequest, stub: Stub
) -> None:
    """INVALID_ARGUMENT says which field to mend."""
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": field})
    assert expected == await failure_of(stub.Register(request_))


async def test_password_is_stored_as_argon2id_alone(stub: Stub, postgres: asyncpg.Pool) -> None:
    """What the database holds is the encoded hash."""
    await register(stub)
    stored = await postgres.fetchval("SELECT password_hash FROM users WHERE username = 'alice'")
    assert stored.startswith("$argon2id$v=19$m=64,t=2,p=1$")


# --------------------------------------------------------------------- login


async def test_login_accepts_the_username_in_any_case(stub: Stub) -> None:
    """The session names the user as registered."""
    registered = await register(stub, "Alice")
    request = auth_pb2.LoginRequest(username="aLICE", password=PASSWORD)
    session = (await stub.Login(request)).session
    assert (registered.user_id, "Alice") == (session.user_id, session.username)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("alice", "wrong horse"),
        ("alice", ""),
        ("alice", PASSWORD.upper()),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("alice' --", PASSWORD),
    ],
)
async def test_login_tells_nothing_when_name_or_password_is_wrong(
    username: str, password: str, stub: Stub
) -> None:
    """Unknown user, wrong password and nonsense are one and the same answer."""
    await register(stub)
    request = auth_pb2.LoginRequest(username=username, password=password)
    assert await failure_of(stub.Login(request)) == BAD_CREDENTIALS


async def test_login_works_when_an_expired_token_comes_with_it(stub: Stub) -> None:
    """Clients send what they have: a bad token is no reason to refuse a public call."""
    await register(stub)
    request = auth_pb2.LoginRequest(username="alice", password=PASSWORD)
    assert (await stub.Login(request, metadata=bearer("expired"))).session.access_token


async def test_password_is_hashed_again_at_login_when_the_cost_has_changed(
    postgres_dsn: str, postgres: asyncpg.Pool
) -> None:
    """A login upgrades the stored hash to the present parameters, once."""
    request = auth_pb2.LoginRequest(username="alice", password=PASSWORD)
    async with serving(postgres_dsn) as stub:
        await register(stub)
    hashes = []
    async with serving(postgres_dsn, argon2_passes=3) as stub:
        for _ in range(2):
            await stub.Login(request)
            hashes.append(
                await postgres.fetchval("SELECT password_hash FROM users WHERE username = 'alice'")
            )
    assert hashes[0].startswith("$argon2id$v=19$m=64,t=3,p=1$")
    assert hashes[0] == hashes[1]


# ------------------------------------------------------------- administrator


async def test_administrator_logs_in_with_the_password_set(stub: Stub) -> None:
    """The service made the user "admin" at start; its token carries the admin role."""
    request = auth_pb2.AdminLoginRequest(username="admin", password=ADMIN_PASSWORD)
    session = (await stub.AdminLogin(request)).session
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    assert claims["role"] == "admin"


async def test_admin_login_refuses_a_user_like_a_wrong_password(stub: Stub) -> None:
    """A user's good password opens no administrator's session, and is not told to be good."""
    await register(stub)
    request = auth_pb2.AdminLoginRequest(username="alice", password=PASSWORD)
    assert await failure_of(stub.AdminLogin(request)) == BAD_CREDENTIALS


async def test_changed_admin_password_ends_what_the_old_one_opened(postgres_dsn: str) -> None:
    """After a start with another password the old one and its sessions are worth nothing."""
    request = auth_pb2.AdminLoginRequest(username="admin", password=ADMIN_PASSWORD)
    async with serving(postgres_dsn) as stub:
        session = (await stub.AdminLogin(request)).session
    async with serving(postgres_dsn, admin_password="another staple") as stub:
        assert await failure_of(stub.AdminLogin(request)) == BAD_CREDENTIALS
        assert await failure_of(refresh(stub, session.refresh_token)) == UNAUTHENTICATED
        request.password = "another staple"
        assert (await stub.AdminLogin(request)).session.user_id == session.user_id


async def test_restart_leaves_the_administrator_alone_when_nothing_changed(
    postgres_dsn: str,
) -> None:
    """The same password again: sessions live on."""
    request = auth_pb2.AdminLoginRequest(username="admin", password=ADMIN_PASSWORD)
    async with serving(postgres_dsn) as stub:
        session = (await stub.AdminLogin(request)).session
    async with serving(postgres_dsn) as stub:
        assert await refresh(stub, session.refresh_token)


async def test_user_does_not_become_administrator_by_an_old_session(postgres_dsn: str) -> None:
    """Where the operator gives the role to a name that exists, its sessions from before end."""
    async with serving(postgres_dsn) as stub:
        session = await register(stub, "root")
    async with serving(postgres_dsn, admin_username="root") as stub:
        assert await failure_of(refresh(stub, session.refresh_token)) == UNAUTHENTICATED
        request = auth_pb2.AdminLoginRequest(username="root", password=PASSWORD)
        assert await failure_of(stub.AdminLogin(request)) == BAD_CREDENTIALS


# ------------------------------------------------------------------ sessions


async def test_refresh_gives_the_next_session(stub: Stub) -> None:
    """Both tokens are new; the chain goes on."""
    first = await register(stub)
    second = await refresh(stub, first.refresh_token)
    third = await refresh(stub, second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert len({first.access_token, second.access_token, third.access_token}) == 3


async def pass_seconds(postgres: asyncpg.Pool, seconds: int) -> None:
    """Let every refresh token be older."""
    await postgres.execute(
        "UPDATE refresh_tokens SET created_at = created_at - make_interval(secs => $1), "
        "spent_at = spent_at - make_interval(secs => $1)",
        seconds,
    )


async def test_spent_token_revokes_its_login_when_it_comes_back_late(
    stub: Stub, postgres: asyncpg.Pool
) -> None:
    """One of the two who use it is a thief: the newest token of that login dies as well."""
    first = await register(stub)
    second = await refresh(stub, first.refresh_token)
    await pass_seconds(postgres, 11)
    assert await failure_of(refresh(stub, first.refresh_token)) == UNAUTHENTICATED
    assert await failure_of(refresh(stub, second.refresh_token)) == UNAUTHENTICATED


async def test_spent_token_revokes_its_login_when_its_successor_is_spent(stub: Stub) -> None:
    """Also at once: whoever holds the token before the last is not the one who holds the last."""
    first = await register(stub)
    second = await refresh(stub, first.refresh_token)
    third = await refresh(stub, second.refresh_token)
    assert await failure_of(refresh(stub, first.refresh_token)) == UNAUTHENTICATED
    assert await failure_of(refresh(stub, third.refresh_token)) == UNAUTHENTICATED


async def test_spent_token_leaves_other_logins_alone_when_it_comes_back(
    stub: Stub, postgres: asyncpg.Pool
) -> None:
    """Revocation ends one login, not the user's others."""
    first = await register(stub)
    request = auth_pb2.LoginRequest(username="alice", password=PASSWORD)
    other = (await stub.Login(request)).session
    await refresh(stub, first.refresh_token)
    await pass_seconds(postgres, 11)
    await failure_of(refresh(stub, first.refresh_token))
    assert await refresh(stub, other.refresh_token)


async def test_same_successor_is_given_when_many_spend_a_token_at_once(stub: Stub) -> None:
    """Twenty tabs at once: each gets the one session that follows, and it goes on."""
    session = await register(stub)
    answers = await asyncio.gather(*(refresh(stub, session.refresh_token) for _ in range(20)))
    (successor,) = {answer.refresh_token for answer in answers}
    assert successor != session.refresh_token
    assert (await refresh(stub, successor)).refresh_token != successor


async def test_lost_answer_of_a_refresh_is_given_again(stub: Stub, postgres: asyncpg.Pool) -> None:
    """Nine seconds later the spent token buys the same refresh token and a good access token."""
    first = await register(stub)
    lost = await refresh(stub, first.refresh_token)
    await pass_seconds(postgres, 9)
    again = await refresh(stub, first.refresh_token)
    assert lost.refresh_token == again.refresh_token
    call = bearer(again.access_token)
    assert (await stub.GetProfile(auth_pb2.GetProfileRequest(), metadata=call)).profile.user_id
    assert await refresh(stub, again.refresh_token)


async def test_lost_answer_is_not_given_again_when_the_login_is_over(stub: Stub) -> None:
    """A logout holds for the grace too."""
    first = await register(stub)
    second = await refresh(stub, first.refresh_token)
    request = auth_pb2.LogoutRequest(refresh_token=second.refresh_token)
    await stub.Logout(request, metadata=bearer(second.access_token))
    assert await failure_of(refresh(stub, first.refresh_token)) == UNAUTHENTICATED


async def test_lost_answer_is_not_given_again_without_a_grace(postgres_dsn: str) -> None:
    """KUJI_REFRESH_GRACE_S=0: a token is good once, as strict as can be."""
    async with serving(postgres_dsn, refresh_grace_s=0) as stub:
        first = await register(stub)
        await refresh(stub, first.refresh_token)
        assert await failure_of(refresh(stub, first.refresh_token)) == UNAUTHENTICATED


@pytest.mark.parametrize("token", ["", "unknown", "x" * 128, "密"])
async def test_refresh_is_refused_when_the_token_is_unknown(token: str, stub: Stub) -> None:
    """Nonsense is unauthenticated, not an error of ours."""
    assert await failure_of(refresh(stub, token)) == UNAUTHENTICATED


async def test_refresh_is_refused_when_the_token_has_expired(
    stub: Stub, postgres: asyncpg.Pool
) -> None:
    """A token lives 30 days, to the second."""
    session = await register(stub)
    life = await postgres.fetchval("SELECT expires_at - created_at FROM refresh_tokens")
    assert life.days == 30
    await postgres.execute("UPDATE refresh_tokens SET expires_at = now()")
    assert await failure_of(refresh(stub, session.refresh_token)) == UNAUTHENTICATED


async def test_refresh_token_is_not_in_the_database(stub: Stub, postgres: asyncpg.Pool) -> None:
    """Only its SHA-256 is, of a successor too: a stolen database opens no session."""
    first = await register(stub)
    second = await refresh(stub, first.refresh_token)
    rows = await postgres.fetch("SELECT refresh_tokens::text AS row FROM refresh_tokens")
    stored = "".join(row["row"] for row in rows)
    for token in (first.refresh_token, second.refresh_token):
        assert token not in stored
        assert token.encode().hex() not in stored
        assert base64.urlsafe_b64decode(token + "=").hex() not in stored


async def test_logout_ends_the_login_however_often_it_is_called(stub: Stub) -> None:
    """Any token of the login ends it; a repetition and an unknown token are no error."""
    first = await register(stub)
    second = await refresh(stub, first.refresh_token)
    for token in (first.refresh_token, first.refresh_token, "unknown", ""):
        request = auth_pb2.LogoutRequest(refresh_token=token)
        await stub.Logout(request, metadata=bearer(second.access_token))
    assert await failure_of(refresh(stub, second.refresh_token)) == UNAUTHENTICATED


async def test_logout_leaves_the_login_alone_when_it_is_somebody_elses(stub: Stub) -> None:
    """Whose login ends comes from the access token."""
    alice, mallory = await register(stub, "alice"), await register(stub, "mallory")
    request = auth_pb2.LogoutRequest(refresh_token=alice.refresh_token)
    await stub.Logout(request, metadata=bearer(mallory.access_token))
    assert await refresh(stub, alice.refresh_token)


# ------------------------------------------------------------------- profile

_TWO_DRAWS = """
INSERT INTO lottery_records (
    pool_id, seq, user_id, request_id, draw_index, draw_count, user_draw_no, version, ticket,
    odds_weight, odds_total, created_at
)
SELECT 1, seq, $1, 'r' || seq, 0, 1, seq, 1, 0, 1, 1, to_timestamp(1799999998 + seq)
FROM generate_series(1, 2) AS seq
"""


async def test_profile_shows_the_caller(stub: Stub, postgres: asyncpg.Pool) -> None:
    """Name, address and times; the time of the last draw is absent before the first."""
    session = await register(stub, email="alice@example.org")
    call = bearer(session.access_token)
    before = (await stub.GetProfile(auth_pb2.GetProfileRequest(), metadata=call)).profile
    await postgres.execute(_TWO_DRAWS, session.user_id)
    after = (await stub.GetProfile(auth_pb2.GetProfileRequest(), metadata=call)).profile
    assert (session.user_id, "alice", "alice@example.org") == (
        before.user_id,
        before.username,
        before.email,
    )
    assert before.created_at.seconds > 1_700_000_000
    assert not before.HasField("last_lottery_at")
    assert after.last_lottery_at.seconds == 1_800_000_000


async def test_profile_needs_a_token(stub: Stub) -> None:
    """Without one, and with a bad one: UNAUTHENTICATED."""
    request = auth_pb2.GetProfileRequest()
    assert await failure_of(stub.GetProfile(request)) == UNAUTHENTICATED
    assert await failure_of(stub.GetProfile(request, metadata=bearer("noise"))) == UNAUTHENTICATED


# ------------------------------------------------------------------ services


async def test_service_gets_a_token_when_it_knows_the_secret(stub: Stub) -> None:
    """Subject 0, the service's name, the service role; it has no profile."""
    request = auth_pb2.IssueServiceTokenRequest(service="admin", secret=SERVICE_SECRET)
    answer = await stub.IssueServiceToken(request)
    claims = jwt.decode(answer.access_token, options={"verify_signature": False})
    assert (claims["sub"], claims["name"], claims["role"]) == ("0", "admin", "service")
    assert 900 == answer.expires_in == claims["exp"] - claims["iat"]
    profile = stub.GetProfile(auth_pb2.GetProfileRequest(), metadata=bearer(answer.access_token))
    assert await failure_of(profile) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {})


@pytest.mark.parametrize("secret", ["", SERVICE_SECRET[:-1], SERVICE_SECRET + "x", "密" * 16])
async def test_service_is_refused_when_its_secret_is_wrong(secret: str, stub: Stub) -> None:
    """BAD_CREDENTIALS, whatever the difference."""
    request = auth_pb2.IssueServiceTokenRequest(service="admin", secret=secret)
    assert await failure_of(stub.IssueServiceToken(request)) == BAD_CREDENTIALS


@pytest.mark.parametrize("service", ["", "x" * 65, "a b", "a\x00"])
async def test_service_is_refused_when_its_name_is_unfit(service: str, stub: Stub) -> None:
    """Names get into logs and audits: 1 to 64 letters, digits and hyphens."""
    request = auth_pb2.IssueServiceTokenRequest(service=service, secret=SERVICE_SECRET)
    expected = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", {"field": "service"})
    assert expected == await failure_of(stub.IssueServiceToken(request))


async def test_key_set_is_json_with_public_halves_alone(stub: Stub) -> None:
    """RFC 7517: a key for what logins get, and one for tests' tokens, without private members."""
    body = await stub.GetJwks(auth_pb2.GetJwksRequest())
    assert body.content_type == "application/json"
    keys = {key["alg"]: key for key in json.loads(body.data)["keys"]}
    assert {"RS256", "EdDSA"} == set(keys)
    assert {"kty", "n", "e", "kid", "alg", "use"} == set(keys["RS256"])
    assert {"kty", "crv", "x", "kid", "alg", "use"} == set(keys["EdDSA"])
    assert [("RSA", "sig"), ("OKP", "sig")] == [
        (keys[alg]["kty"], keys[alg]["use"]) for alg in ("RS256", "EdDSA")
    ]


@asynccontextmanager
async def wire_to(dsn: str) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """The DSN of the same database by way of a wire, and what cuts that."""
    target = urlsplit(dsn)
    writers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(target.hostname, target.port)
        writers.extend((writer, back))
        await asyncio.gather(forward(reader, back), forward(there, writer), return_exceptions=True)

    wire = await asyncio.start_server(connect, "127.0.0.1", 0)

    def cut() -> None:
        wire.close()
        for writer in writers:
            writer.transport.abort()

    port = wire.sockets[0].getsockname()[1]
    try:
        yield dsn.replace(f":{target.port}", f":{port}"), cut
    finally:
        cut()


async def test_registration_is_unavailable_when_postgres_is_gone(postgres_dsn: str) -> None:
    """An outage is told as one, with a hint when to try again."""
    async with wire_to(postgres_dsn) as (dsn, cut), serving(dsn) as stub:
        await register(stub)
        cut()
        status, reason, metadata = await failure_of(register(stub, "bob"))
    assert (status, reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert int(metadata["retry_after_ms"]) > 0

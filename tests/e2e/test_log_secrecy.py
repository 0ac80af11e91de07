"""No log of any part holds a secret, whatever goes wrong; see conftest.py for the whole run."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import httpx
import pytest
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc

from tests.support.edge import caller, log_in_admin, register
from tests.support.history import eventually
from tests.support.secrecy import KnownSecrets, logs_of
from tests.support.stacks import StackUnderTest

KINDS = {
    "KUJI_ADMIN_PASSWORD", "KUJI_CODE_KEY", "KUJI_SEED_KEY", "KUJI_SERVICE_SECRET",
    "KUJI_STORES_SECRET", "KUJI_TOKEN_KEY_SECRET", "access_token", "edge secret", "new_password",
    "password", "password of Postgres", "password of Valkey", "prize code", "refresh_token", "seed",
    "signature of authorization", "ticket",
}  # fmt: skip


@asynccontextmanager
async def _changed(dsn: str, change: str, back: str) -> AsyncIterator[asyncpg.Connection]:
    """A schema that is not what services know; a connection to it."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(change)
        try:
            yield connection
        finally:
            await connection.execute(back)
    finally:
        await connection.close()


async def _refused(http: httpx.AsyncClient, session: dict[str, Any], ticket: str) -> None:
    """What strangers and clumsy clients send."""
    token, refresh = session["access_token"], session["refresh_token"]
    name = session["username"]
    for header in (f"Bearer {token}x", f"Bearer {token[:-9]}", f"Basic {token}", token, "Bearer"):
        headers = {"authorization": header, "cookie": f"token={token}"}
        assert 401 == (await http.get("/api/user/profile", headers=headers)).status_code
    for path, body in (
        ("login", {"username": name, "password": "Tr0ub4dor&3"}),
        ("login", {"username": name, "password": "Tr0ub4dor&3", "pasword": "unknown name"}),
        ("register", {"username": name, "password": "another horse"}),
        ("register", {"username": "o", "password": "staple battery"}),
        ("refresh", {"refresh_token": refresh}),
        ("refresh", {"refresh_token": refresh + "x"}),
    ):
        await http.post(f"/api/auth/{path}", json=body)
    cut_short = '{"username": "alice", "password": "Tr0ub4dor&3'
    await http.post("/api/auth/login", content=cut_short)
    bearer = {"authorization": f"Bearer {token}"}
    changed = {"old_password": "Tr0ub4dor&3", "new_password": "correct horse 2"}
    assert 401 == (await http.put("/api/auth/password", json=changed, headers=bearer)).status_code
    drawn = {"ticket": ticket + "x", "solution": "s"}
    assert 400 == (await http.post("/api/lottery/draw", json=drawn, headers=bearer)).status_code
    await http.get(f"/api/lottery/result/{token}?access_token={token}", headers=bearer)
    guess = {"username": "admin", "password": "no admin"}
    assert 401 == (await http.post("/admin/api/login", json=guess)).status_code


async def _guess_service_secret(address: str, secrets: KnownSecrets) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = auth_pb2_grpc.AuthServiceStub(channel)
        request = auth_pb2.IssueServiceTokenRequest(service="shop", secret="not this one")
        secrets.add("guess", "not this one")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.IssueServiceToken(request, timeout=5)
    assert grpc.StatusCode.UNAUTHENTICATED is caught.value.code()


async def test_no_log_holds_a_secret(
    stack: StackUnderTest, http: httpx.AsyncClient, secrets: KnownSecrets
) -> None:
    """
    Refusals, guesses, tracebacks of defects at debug level, a row that Postgres does not take, a
    store that hangs: passwords, tokens, tickets, prize codes, seeds and keys are in no log.
    """
    admin = caller(http, await log_in_admin(http, stack.admin))
    session = await register(http)
    user = caller(http, session["access_token"])
    opened = {"name": "discreet", "status": "ongoing", "ticket_required": True}
    activity_id = (await admin("POST", "/admin/api/activities", json=opened))["activity_id"]
    prize = {"activity_id": activity_id, "name": "cup", "total_count": 5, "probability": 1}
    await admin("POST", "/admin/api/prizes", json=prize)
    wanted = {"activity_id": activity_id}

    async def draw() -> str:
        ticket = (await user("POST", "/api/lottery/ticket", json=wanted))["ticket"]
        await user("POST", "/api/lottery/draw", json={"ticket": ticket, "solution": "s"})
        return str(ticket)

    ticket = await draw()
    log = {name: stack.home / "logs" / f"{name}.log" for name in ("auth", "recorder", "postgres")}

    unfit = f"CHECK (activity_id IS DISTINCT FROM {activity_id}) NOT VALID"
    async with _changed(
        stack.postgres,
        f"ALTER TABLE winners ADD CONSTRAINT unfit {unfit}",
        "ALTER TABLE winners DROP CONSTRAINT unfit;"
        " UPDATE pools SET halted_reason = '' WHERE halted_reason <> ''",
    ) as postgres:
        await draw()
        halted = "SELECT EXISTS (SELECT FROM pools WHERE halted_reason <> '')"

        async def is_halted() -> bool:
            return bool(await postgres.fetchval(halted))

        await eventually(is_halted)  # it has told its log before
    for table in ("users", "refresh_tokens"):
        away = f"ALTER TABLE {table} RENAME TO away", f"ALTER TABLE away RENAME TO {table}"
        async with _changed(stack.postgres, *away):
            body = {"username": session["username"], "password": "correct horse"}
            for path in ("login", "register"):
                await http.post(f"/api/auth/{path}", json=body)
            body = {"refresh_token": session["refresh_token"]}
            await http.post("/api/auth/refresh", json=body)
    await _refused(http, session, ticket)
    await _guess_service_secret(stack.grpc["auth"], secrets)
    valkey = stack.pids()["valkey"]
    os.kill(valkey, signal.SIGSTOP)
    try:
        body = {"ticket": ticket, "solution": "s"}
        headers = {"authorization": f"Bearer {session['access_token']}"}
        await http.post("/api/lottery/draw", json=body, headers=headers)
    finally:
        os.kill(valkey, signal.SIGCONT)

    await secrets.learn_all(stack)
    assert set() == KINDS - secrets.kinds()
    # What was provoked is there to be searched.
    assert '"exc_type": "UndefinedTableError"' in log["auth"].read_text()
    assert "pool halts" in log["recorder"].read_text()
    assert '"level": "debug"' in log["auth"].read_text()
    assert 'violates check constraint "unfit"' in log["postgres"].read_text()
    assert [] == secrets.leaks(logs_of(stack))


def test_secret_is_found_where_there_is_one(tmp_path: Path) -> None:
    """The search can fail."""
    secrets, log = KnownSecrets(), tmp_path / "draw.log"
    secrets.add("access_token", "header.payload.signature")
    log.write_text('{"event": "refused", "why": "bad signature"}\n')
    assert ["draw.log: signature of access_token"] == secrets.leaks([log])
    log.write_text('{"event": "refused"}\n')
    assert [] == secrets.leaks([log])

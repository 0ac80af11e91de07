"""Sessions, passwords and deactivation, through the edge and in force in every service."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.command import run_kuji
from tests.support.edge import caller, register
from tests.support.stacks import StackUnderTest

PASSWORD = "correct horse"
PHONE = {"user-agent": "Kuji/1.0 (a phone)"}
# One that needs a token, of each service that a user can reach.
ROUTES = {
    "auth": ("GET", "/api/user/profile"),
    "draw": ("POST", "/api/lottery/draw"),
    "history": ("GET", "/api/user/lottery-history"),
}


@pytest.fixture
async def session(http: httpx.AsyncClient) -> dict[str, Any]:
    """A fresh user's session."""
    return await register(http)


async def log_in(http: httpx.AsyncClient, session: dict[str, Any], password: str) -> httpx.Response:
    """The answer to a login from a phone."""
    credentials = {"username": session["username"], "password": password}
    return await http.post("/api/auth/login", json=credentials, headers=PHONE)


async def status(http: httpx.AsyncClient, service: str, session: dict[str, Any]) -> int:
    """What a service answers to the holder of this session's access token."""
    verb, path = ROUTES[service]
    headers = {"authorization": f"Bearer {session['access_token']}"}
    body = {"activity_id": "999999"} if verb == "POST" else None
    return (await http.request(verb, path, headers=headers, json=body)).status_code


async def until_over(http: httpx.AsyncClient, session: dict[str, Any]) -> None:
    """Return when every service refuses this session's access token."""
    async with asyncio.timeout(20):
        for service in ROUTES:
            while await status(http, service, session) != 401:
                pass


async def test_sessions_are_listed_and_ended(
    http: httpx.AsyncClient, session: dict[str, Any]
) -> None:
    """The columns that clients know; one that is ended is over in every service."""
    user = caller(http, session["access_token"])
    phone = (await log_in(http, session, PASSWORD)).json()["data"]
    listed = (await user("GET", "/api/auth/sessions"))["sessions"]
    columns = {"session_id", "created_at", "last_used_at", "user_agent", "current"}
    assert [columns, columns] == [set(row) for row in listed]
    assert [False, True] == [row["current"] for row in listed]
    assert listed[0]["user_agent"] == PHONE["user-agent"]
    assert await user("DELETE", f"/api/auth/sessions/{listed[0]['session_id']}") == {}
    await until_over(http, phone)
    assert len((await user("GET", "/api/auth/sessions"))["sessions"]) == 1


async def test_password_is_changed(http: httpx.AsyncClient, session: dict[str, Any]) -> None:
    """A new session, and what was before it is over in every service."""
    user = caller(http, session["access_token"])
    body = {"old_password": PASSWORD, "new_password": "quite another one"}
    changed = await user("PUT", "/api/auth/password", json=body)
    assert {"user_id", "username", "access_token", "refresh_token", "expires_in"} == set(changed)
    await until_over(http, session)
    for service in ROUTES:
        assert await status(http, service, changed) != 401
    assert (await log_in(http, session, PASSWORD)).status_code == 401
    assert (await log_in(http, session, "quite another one")).status_code == 200


async def test_logging_out_everywhere(http: httpx.AsyncClient, session: dict[str, Any]) -> None:
    """All sessions, in every service."""
    phone = (await log_in(http, session, PASSWORD)).json()["data"]
    assert await caller(http, session["access_token"])("POST", "/api/auth/logout-all") == {}
    for one in (session, phone):
        await until_over(http, one)
        token = {"refresh_token": one["refresh_token"]}
        assert (await http.post("/api/auth/refresh", json=token)).status_code == 401


async def test_deactivated_account_is_out_everywhere(
    http: httpx.AsyncClient, session: dict[str, Any], stack: StackUnderTest
) -> None:
    """One command, and no service takes its tokens; activated again, it logs in."""
    for service in ROUTES:
        assert await status(http, service, session) != 401
    command = ("users", "deactivate", session["username"])
    assert (await run_kuji(*command, KUJI_HOME=str(stack.home))).code == 0
    await until_over(http, session)
    refused = await log_in(http, session, PASSWORD)
    assert (refused.status_code, refused.json()["reason"]) == (403, "USER_BLOCKED")
    command = ("users", "activate", session["username"])
    assert (await run_kuji(*command, KUJI_HOME=str(stack.home))).code == 0
    assert (await log_in(http, session, PASSWORD)).status_code == 200


async def test_administrator_is_made_and_unmade(
    http: httpx.AsyncClient, session: dict[str, Any], stack: StackUnderTest
) -> None:
    """The role comes with the next login, and is gone at once when it is taken."""
    credentials = {"username": session["username"], "password": PASSWORD}
    assert (await http.post("/admin/api/login", json=credentials)).status_code == 401
    command = ("admins", "grant", session["username"])
    assert (await run_kuji(*command, KUJI_HOME=str(stack.home))).code == 0
    made = (await http.post("/admin/api/login", json=credentials)).json()["data"]
    statistics = "/admin/api/statistics"
    await caller(http, made["access_token"])("GET", statistics)
    command = ("admins", "revoke", session["username"])
    assert (await run_kuji(*command, KUJI_HOME=str(stack.home))).code == 0
    headers = {"authorization": f"Bearer {made['access_token']}"}
    async with asyncio.timeout(20):
        while (await http.get(statistics, headers=headers)).status_code != 401:
            pass

"""Callers of a running stack's edge, with somebody's token."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

_names = itertools.count(1)

# A caller: method, path, options of httpx → data of the envelope.
Call = Callable[..., Awaitable[Any]]


def caller(http: httpx.AsyncClient, token: str) -> Call:
    """Calls with *token*; an answer that is no success is an AssertionError."""

    async def call(method: str, path: str, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        response = await http.request(method, path, headers=headers, **options)
        body = response.json()
        assert (1, "ok") == (body["status"], body["msg"]), response.text
        return body["data"]

    return call


async def register(http: httpx.AsyncClient) -> dict[str, Any]:
    """A fresh user's session."""
    credentials = {"username": f"alice-{next(_names)}", "password": "correct horse"}
    response = await http.post("/api/auth/register", json=credentials)
    assert 200 == response.status_code, response.text
    session: dict[str, Any] = response.json()["data"]
    return session


async def log_in_admin(http: httpx.AsyncClient, login: dict[str, str]) -> str:
    """The administrator's access token."""
    response = await http.post("/admin/api/login", json=login)
    token: str = response.json()["data"]["access_token"]
    return token

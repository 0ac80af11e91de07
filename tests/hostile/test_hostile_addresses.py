"""Where strangers are: what they say of it changes nothing, and it can be closed to them."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.hostile.requester import what
from tests.hostile.target import Target
from tests.support.edge import caller, register

_ELSEWHERE = "127.0.0.2"
_GUESSES = 60
_ALLOWED = 30  # KUJI_LOGIN_FAILURES


@asynccontextmanager
async def _at(target: Target, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the edge at *address*."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(
        base_url=target.stack.edge, transport=transport, timeout=20
    ) as http:
        yield http


def _forged(number: int) -> dict[str, str]:
    address = f"198.51.100.{number}"
    return {
        "x-forwarded-for": address,
        "forwarded": f"for={address}",
        "x-real-ip": address,
        "x-kuji-client-address": address,
        "x-envoy-external-address": address,
    }


async def test_guesses_with_forged_addresses_are_those_of_one(target: Target) -> None:
    """They are soon refused unread, while the owner logs in from where it always did."""
    session = await register(target.http)
    name = session["username"]
    told: Counter[str] = Counter()
    async with _at(target, _ELSEWHERE) as stranger:
        for number in range(_GUESSES):
            guess = {"username": name, "password": f"guess {number}"}
            response = await stranger.post("/api/auth/login", json=guess, headers=_forged(number))
            told[what(response)] += 1
        assert {"BAD_CREDENTIALS", "RATE_LIMITED"} == told.keys()
        # One more for each ten seconds that all of this takes.
        assert _ALLOWED <= told["BAD_CREDENTIALS"] <= _ALLOWED + 10
        right = {"username": name, "password": "correct horse"}
        assert "RATE_LIMITED" == what(await stranger.post("/api/auth/login", json=right))
        assert "OK" == what(await target.http.post("/api/auth/login", json=right))


async def test_blocked_address_is_refused_by_the_next_call(target: Target) -> None:
    """Draws, logins and registrations from there, until the block is lifted; and nobody else."""
    admin = caller(target.http, target.tokens["admin"])
    session = await register(target.http)
    headers = {"authorization": f"Bearer {session['access_token']}"}
    login = {"username": session["username"], "password": "correct horse"}
    draw = {"activity_id": str(target.activity_id)}

    async def told(http: httpx.AsyncClient) -> list[str]:
        forged = _forged(1)
        return [
            what(await http.post("/api/lottery/draw", json=draw, headers=headers | forged)),
            what(await http.post("/api/auth/login", json=login, headers=forged)),
            what(await http.get("/api/lottery/activities", headers=forged)),
        ]

    async with _at(target, _ELSEWHERE) as stranger:
        for _ in range(2):
            assert ["OK"] * 3 == await told(stranger)
            block = await admin("POST", "/admin/api/blocks", json={"ip": f"{_ELSEWHERE}/31"})
            assert "127.0.0.2/31" == block["ip"]
            assert ["USER_BLOCKED", "USER_BLOCKED", "OK"] == await told(stranger)
            assert ["OK"] * 3 == await told(target.http)
            await admin("DELETE", f"/admin/api/blocks/{block['block_id']}")
        assert ["OK"] * 3 == await told(stranger)

"""What the edge takes of one address and of one user, and what it says of that."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from kuji.auth.v1 import auth_pb2
from kuji.common.v1.error_reason_pb2 import ErrorReason
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from services.common.errors import CooldownError
from stack.edge.limits import Limit, Limits
from stack.processes import ROOT
from tests.contract.edge_rig import Rig, running_rig

DRAW = "/api/lottery/draw"
LOGIN = "/api/auth/login"
LIMITS = Limits(address=Limit(1, 30), credentials=Limit(1, 5), user=Limit(1, 3))
RATE_LIMITED = ErrorReason.Name(ErrorReason.ERROR_REASON_RATE_LIMITED).removeprefix("ERROR_REASON_")
_MANY = 40


@pytest.fixture(params=[0, 1], ids=["nobody in front", "one proxy"])
async def strict(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """An edge that takes little, behind so many trusted proxies."""
    async with running_rig(tmp_path, trusted_hops=request.param, limits=LIMITS) as rig:
        rig.script.answer("Draw", draw_pb2.DrawResponse())
        rig.script.answer("Login", auth_pb2.LoginResponse())
        rig.script.answer("ListWinners", history_pb2.ListWinnersResponse())
        yield rig


async def _draw(rig: Rig, number: int, role: str = "user", at: str = "203.0.113.1") -> Any:
    headers = {
        "authorization": f"Bearer {rig.script.token(role, sub=str(number))}",
        "x-forwarded-for": at,
        "origin": "https://shop.example",
    }
    return await rig.http.post(DRAW, headers=headers, json={})


def _stands(response: httpx.Response) -> tuple[list[str], list[str], list[str]]:
    names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    limit, left, reset = (response.headers.get_list(name) for name in names)
    return limit, left, reset


async def test_limits_are_of_whom_the_edge_sees(strict: Rig) -> None:
    """
    Users by their token, from wherever; addresses as the trusted proxies say them.

    What a client writes in front of that makes it nobody else.
    """
    hops = strict.edge.trusted_hops
    # a user, whose address is another each time
    first, *answers = [await _draw(strict, 7, at=f"198.51.100.{n}") for n in range(20)]
    assert (200, ["3"], ["2"]) == (first.status_code, *_stands(first)[:2])
    assert {200, 429} == {answer.status_code for answer in answers}
    refused = next(answer for answer in answers if answer.status_code == 429)
    body = refused.json()
    assert (RATE_LIMITED, {"retry_after_ms": "1000"}) == (body["reason"], body["metadata"])
    assert ("1", ["3"], ["0"]) == (refused.headers["retry-after"], *_stands(refused)[:2])
    assert "ratelimit-remaining" in refused.headers["access-control-expose-headers"]
    assert [] == [name for name in refused.headers if name.startswith("x-ratelimit")]
    # others
    if hops:
        service = [await _draw(strict, 0, "service") for _ in range(10)]
        assert {200} == {answer.status_code for answer in service}
        assert ["2"] == _stands(await _draw(strict, 8))[1]
    # an address, whatever it calls itself
    told = Counter[int]()
    for number in range(_MANY):
        said = f"192.0.2.{number}, 203.0.113.9" if hops else f"192.0.2.{number}"
        answer = await strict.http.post(LOGIN, headers={"x-forwarded-for": said}, json={})
        told[answer.status_code] += 1
        assert answer.headers.get("retry-after", "") == ("1" if answer.status_code == 429 else "")
    assert {200, 429} == told.keys()
    other = await strict.http.post(LOGIN, headers={"x-forwarded-for": "203.0.113.10"}, json={})
    assert (200 if hops else 429) == other.status_code
    assert ["5"] == _stands(other)[0]


async def test_each_layer_counts_what_it_stopped(tmp_path: Path) -> None:
    """In counters of Envoy's, by the names that docs/operations.md gives."""
    few = Limits(address=Limit(1, 5), credentials=Limit(1, 5), user=Limit(1, 5))
    async with running_rig(tmp_path, trusted_hops=1, limits=few) as rig:
        rig.script.answer("Draw", draw_pb2.DrawResponse())
        rig.script.answer("Login", auth_pb2.LoginResponse())
        flood = {"x-forwarded-for": "203.0.113.200"}
        await asyncio.gather(
            *(_draw(rig, 7, at=f"203.0.113.{number}") for number in range(_MANY)),
            *(rig.http.post(LOGIN, json={}, headers=flood) for _ in range(_MANY)),
            *(rig.http.get("/nothing", headers=flood) for _ in range(_MANY)),
        )
        other = {"authorization": f"Bearer {rig.script.token(sub='8')}"}
        told = [await rig.http.get("/admin/api/statistics", headers=h) for h in ({}, other)]
        assert [401, 403] == [response.status_code for response in told]
        counted = await _counters(rig)
        page = (ROOT / "docs" / "operations.md").read_text("utf-8")
        named = re.findall(r"`(envoy_\w+\{.+?\})`", page)
        assert 7 == len(named)
        assert [] == [series for series in named if not counted.get(series)]


async def _counters(rig: Rig) -> dict[str, float]:
    """What Envoy counts, by series."""
    transport = httpx.AsyncHTTPTransport(uds=str(rig.edge.admin_socket))
    async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as admin:
        lines = (await admin.get("/stats/prometheus")).text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in pairs}


async def test_ipv6_is_limited_by_its_network(tmp_path: Path) -> None:
    """Whoever has one address of a /64 has them all."""
    async with running_rig(tmp_path, trusted_hops=1, limits=LIMITS) as rig:
        rig.script.answer("Login", auth_pb2.LoginResponse())
        told = Counter[int]()
        for number in range(_MANY):
            headers = {"x-forwarded-for": f"2001:db8::{number:x}"}
            told[(await rig.http.post(LOGIN, headers=headers, json={})).status_code] += 1
        assert {200, 429} == told.keys()
        headers = {"x-forwarded-for": "2001:db8:0:1::1"}
        assert 200 == (await rig.http.post(LOGIN, headers=headers, json={})).status_code


async def test_refusals_of_services_say_when_to_come_back(rig: Rig) -> None:
    """In the header too, in whole seconds; and nothing of the kind where waiting does not help."""
    rig.script.answer("Draw", CooldownError(41_001))
    response = await rig.call("POST", DRAW, "user", json={})
    assert (429, "42") == (response.status_code, response.headers["retry-after"])
    assert "retry-after" not in (await rig.call("POST", DRAW, "user", json={"x": 1})).headers

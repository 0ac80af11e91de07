"""Every RPC and every route under messages made at random: each gets a reason that is true."""

import asyncio
import json
import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from stack.edge.contract import Route, routes, services
from tests.hostile.honest import honest_client
from tests.hostile.target import Target
from tests.support.strangers import Stranger

RPCS = [rpc for service in services() for rpc in service.methods]
ROUTES = [route for route in routes() if route.verb != "HEAD"]
# They would end what the others come with.
_ENDS_THE_SESSION = {"Logout", "LogoutAll", "ChangePassword", "RevokeSession"}
_RPC_CALLS = 20
_ROUTE_CALLS = 8
_HONEST_CALLS = 5
_GROWTH_BYTES = 48 << 20


def _seed(name: str) -> int:
    return zlib.crc32(name.encode())


def _known(target: Target, rpc: MethodDescriptor) -> dict[str, list[Any]]:
    return {} if rpc.name in _ENDS_THE_SESSION else dict(target.known)


async def _rpc_told(target: Target, rpc: MethodDescriptor) -> Counter[str]:
    strangers = [
        Stranger(_seed(rpc.full_name) + wild, _known(target, rpc), is_wild=bool(wild))
        for wild in (0, 1)
    ]
    contents: list[Message | bytes] = [strangers[1].noise() for _ in range(3)]
    contents += [strangers[number % 2].message(rpc.input_type) for number in range(_RPC_CALLS)]
    told = await asyncio.gather(*(target.told(rpc, content) for content in contents))
    return Counter(told)


def _untrue(name: str, told: Counter[str]) -> Iterator[str]:
    for what, count in told.items():
        if what == "INTERNAL" or what.startswith("bare"):
            yield f"{name}: {count} × {what}"


@asynccontextmanager
async def _nobody_notices(target: Target) -> AsyncIterator[Counter[str]]:
    """What strangers are told goes in; an honest client, and memory, notice nothing of them."""
    told: Counter[str] = Counter()
    async with honest_client(target) as honest:
        await honest.goes_through("1 before", _HONEST_CALLS)
        memory = target.memory()
        honest.enter("2 during")
        yield told
        await honest.goes_through("3 after", _HONEST_CALLS)
    print(honest.sentence(), told)
    assert [] == honest.refused
    assert {} == _grown(memory, target.memory())
    assert {"OK", "INVALID_ARGUMENT"} <= told.keys()


async def test_every_rpc_answers_whatever_comes(target: Target) -> None:
    """Its answer or a stated reason, never INTERNAL."""
    untrue: list[str] = []
    async with _nobody_notices(target) as all_told:
        for rpc in RPCS:
            if rpc.name in _ENDS_THE_SESSION:
                continue
            told = await _rpc_told(target, rpc)
            all_told.update(told)
            untrue += _untrue(rpc.full_name, told)
    assert [] == untrue


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {
        name: size - before.get(name, 0)
        for name, size in after.items()
        if size - before.get(name, size) > _GROWTH_BYTES or name not in before
    }


class _Requester:
    """Makes HTTP requests of a route at random."""

    def __init__(self, route: Route, target: Target) -> None:
        self._random = random.Random(_seed(route.name))
        self._route = route
        self._strangers = [
            Stranger(_seed(route.name), target.known, is_wild=wild) for wild in (False, True)
        ]

    def request(self) -> dict[str, Any]:
        """Its path, query and body."""
        message = self._random.choice(self._strangers).message(self._route.message)
        try:
            fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
        except (ValueError, json_format.Error):  # a time beyond its bounds
            fields = {}
        path = self._route.template
        for name in self._route.variables:
            path = path.replace(f"{{{name}}}", quote(str(fields.pop(name, "x")), safe="") or "-")
        if self._route.takes_body:
            return {"url": path, "content": self._spoilt(json.dumps(fields).encode())}
        query = {name: value for name, value in fields.items() if not isinstance(value, dict)}
        return {"url": path, "params": query}

    def _spoilt(self, body: bytes) -> bytes:
        """Now and then no JSON any more."""
        if self._random.random() < 0.8:
            return body
        at = self._random.randrange(len(body) + 1)
        return body[:at] + self._random.choice((b"\xff", b"}", b'"', b"[" * 200, b"")) + body[at:]


async def _route_told(target: Target, route: Route) -> Counter[str]:
    requester = _Requester(route, target)
    token = target.token_for(route.rpc)
    headers = {"content-type": "application/json"}
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    told: Counter[str] = Counter()
    for _ in range(_ROUTE_CALLS):
        response = await target.http.request(route.verb, headers=headers, **requester.request())
        told[_what(response)] += 1
    return told


def _what(response: Any) -> str:
    if response.status_code == 200 and not response.headers["content-type"].startswith(
        "application/json"
    ):
        return "OK"
    try:
        envelope = response.json()
    except ValueError:
        return f"bare {response.status_code}: {response.content[:80]!r}"
    return "OK" if envelope.get("status", 1) == 1 else str(envelope["reason"])


async def test_every_route_answers_whatever_comes(target: Target) -> None:
    """The same by JSON: the envelope is whole, and its reason is a true one."""
    untrue: list[str] = []
    async with _nobody_notices(target) as all_told:
        for route in ROUTES:
            if route.rpc.name in _ENDS_THE_SESSION or route.rpc.server_streaming:
                continue
            told = await _route_told(target, route)
            all_told.update(told)
            untrue += _untrue(route.name, told)
    assert [] == untrue


@pytest.mark.parametrize("name", sorted(_ENDS_THE_SESSION))
async def test_calls_that_end_sessions_answer_whatever_comes(target: Target, name: str) -> None:
    """The same of these, whose answer may be that the session is over."""
    (rpc,) = (rpc for rpc in RPCS if rpc.name == name)
    told = await _rpc_told(target, rpc)
    assert [] == list(_untrue(name, told))

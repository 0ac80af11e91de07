"""Every RPC and every route under messages made at random: each gets a reason that is true."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from stack.edge.contract import Route, services
from tests.hostile.honest import honest_client
from tests.hostile.requester import ENDS_THE_SESSION, ROUTES, Requester, told_by
from tests.hostile.target import Target
from tests.support.strangers import Stranger

RPCS = [rpc for service in services() for rpc in service.methods]
_RPC_CALLS = 12
_ROUTE_CALLS = 5
_HONEST_CALLS = 3
_GROWTH_BYTES = 48 << 20


def _seed(name: str) -> int:
    return zlib.crc32(name.encode())


def _known(target: Target, rpc: MethodDescriptor) -> dict[str, list[Any]]:
    return {} if rpc.name in ENDS_THE_SESSION else dict(target.known)


async def _rpc_told(target: Target, rpc: MethodDescriptor) -> Counter[str]:
    strangers = [
        Stranger(_seed(rpc.full_name) + wild, _known(target, rpc), is_wild=bool(wild))
        for wild in (0, 1)
    ]
    contents: list[Message | bytes] = [strangers[1].noise() for _ in range(3)]
    messages = [strangers[number % 2].message(rpc.input_type) for number in range(_RPC_CALLS)]
    contents += [*messages, *(strangers[1].spoilt(message) for message in messages[:6])]
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
            if rpc.name in ENDS_THE_SESSION:
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


async def _route_told(target: Target, route: Route) -> Counter[str]:
    requester = Requester(route, target, _seed(route.name))
    told = [await told_by(target, route, requester.request()) for _ in range(_ROUTE_CALLS)]
    return Counter(told)


async def test_every_route_answers_whatever_comes(target: Target) -> None:
    """The same by JSON: the envelope is whole, and its reason is a true one."""
    untrue: list[str] = []
    async with _nobody_notices(target) as all_told:
        for route in ROUTES:
            told = await _route_told(target, route)
            all_told.update(told)
            untrue += _untrue(route.name, told)
    assert [] == untrue


@pytest.mark.parametrize("name", sorted(ENDS_THE_SESSION))
async def test_calls_that_end_sessions_answer_whatever_comes(target: Target, name: str) -> None:
    """The same of these, whose answer may be that the session is over."""
    (rpc,) = (rpc for rpc in RPCS if rpc.name == name)
    told = await _rpc_told(target, rpc)
    assert [] == list(_untrue(name, told))

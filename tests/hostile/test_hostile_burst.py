"""Everybody at once: each call is answered, or refused with a reason; none dies bare."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

from services.common.status import error_info_of
from services.pool.rule.selection import PPB
from tests.support.draw_process import draw_process
from tests.support.draw_service import World

Stub = draw_pb2_grpc.DrawServiceStub
Burst = list[tuple[Stub, draw_pb2.DrawRequest, Any]]

_OF_ITS_OWN = [("grpc.use_local_subchannel_pool", 1)]  # else channels share one connection
# Of every call, from before the first is sent: long, as other tests have the machine as well.
_PATIENCE_S = 600
_USERS = 100  # each draws many times; making a token costs as much as drawing with it


def _outcome(call: Any) -> str:
    """DRAWN, the reason of the refusal, or what came in place of one."""
    try:
        call.result()
    except grpc.RpcError as error:
        info = error_info_of(error)
        return str(info.reason) if info else f"bare {error.code()}: {error.details()}"
    return "DRAWN"


def _outcomes(calls: Burst) -> list[str]:
    """How *calls* end, all of them sent before the first answer is looked at."""
    sent = [
        stub.Draw.future(request, timeout=_PATIENCE_S, metadata=metadata)
        for stub, request, metadata in calls
    ]
    return [_outcome(call) for call in sent]


async def _burst(world: World, process: str, calls: int, connections: int) -> Counter[str]:
    """How *calls* draws end, all of them sent at once."""
    activity = await world.activity((5, PPB // 2))
    request = draw_pb2.DrawRequest(activity_id=activity.activity_id)
    with ExitStack() as open_channels:
        stubs = [
            Stub(open_channels.enter_context(grpc.insecure_channel(process, options=_OF_ITS_OWN)))
            for _ in range(connections)
        ]
        for stub in stubs:  # connected, and the token's key is known
            first = [(stub, request, world.user(1).metadata)]
            assert ["DRAWN"] == await asyncio.to_thread(_outcomes, first)
        tokens = [world.user(2 + number).metadata for number in range(_USERS)]
        burst = [
            (stubs[call % connections], request, tokens[call % _USERS]) for call in range(calls)
        ]
        return Counter(await asyncio.to_thread(_outcomes, burst))


def _variables(world: World, redis_url: str, postgres_dsn: str) -> dict[str, str]:
    return {
        "KUJI_REDIS_URL": redis_url,
        "KUJI_POSTGRES_DSN": postgres_dsn,
        "KUJI_AUTH_ADDRESS": world.auth_address,
    }


@pytest.mark.timeout(_PATIENCE_S + 60)
async def test_draws_sent_at_once_are_all_answered(
    world: World, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    """On one process, over one connection or several: what it can bear is not turned away."""
    variables = _variables(world, redis_url, postgres_dsn)
    async with draw_process(tmp_path, **variables) as process:
        for calls, connections in ((10_000, 1), (10_000, 8)):
            assert {"DRAWN": calls} == await _burst(world, process.address, calls, connections)


async def test_draws_beyond_the_bound_are_shed_with_a_reason(
    world: World, redis_url: str, postgres_dsn: str, tmp_path: Path
) -> None:
    """OVERLOADED, before anything was done; the others are drawn."""
    variables = _variables(world, redis_url, postgres_dsn)
    async with draw_process(tmp_path, KUJI_MAX_CALLS="1", **variables) as process:
        outcomes = await _burst(world, process.address, 500, 4)
    assert {"DRAWN", "OVERLOADED"} == set(outcomes)

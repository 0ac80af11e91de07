"""Whatever takes the calls of the draw service: strangers' and leavers' calls are nobody else's."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from kuji.draw.v1 import draw_pb2, pool_pb2
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from services.common.server.serve import Front
from services.common.status import error_info_of
from tests.support.draw_service import World, element, open_world
from tests.support.history import eventually

SURE = 1_000_000_000
METHOD = "/kuji.draw.v1.DrawService/Draw"


# Of the store, in a world whose store is held up by a test.
_LONG_S = 120.0


@pytest.fixture(params=Front)
async def world(
    request: pytest.FixtureRequest,
    postgres: asyncpg.Pool,
    postgres_dsn: str,
    redis_url: str,
    redis: object,
) -> AsyncIterator[World]:
    """A draw service over an empty Redis and a fresh database."""
    front: Front = request.param
    async with open_world(postgres, postgres_dsn, redis_url, draw_front=front) as world:
        yield world


@pytest.fixture(params=Front)
async def patient_world(
    request: pytest.FixtureRequest,
    postgres: asyncpg.Pool,
    postgres_dsn: str,
    redis_url: str,
    redis: Redis,
) -> AsyncIterator[World]:
    """As world; its store may be long in answering."""
    settings = {"draw_front": request.param, "redis_timeout_s": _LONG_S}
    async with open_world(postgres, postgres_dsn, redis_url, **settings) as world:
        yield world


def in_hand() -> float | None:
    """Calls that are in hand."""
    return REGISTRY.get_sample_value("kuji_rpc_in_hand", {"kind": "call"})


async def nothing_is_in_hand() -> bool:
    """Whether no call is."""
    return 0.0 == in_hand()


async def outcome_of(call: Any) -> str:
    """How *call* ended: a status, and the reason if it has one."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        info = error_info_of(error)
        return info.reason if info is not None else error.code().name
    except asyncio.CancelledError:
        return "left"
    return "OK"


async def test_callers_that_leave_keep_nothing_in_hand(world: World) -> None:
    """Cancelled before, while and after it draws, a call goes; the others are answered."""
    activity = await world.activity((1000, SURE))
    caller = world.service()
    await caller.draw(activity.activity_id, "warm", 1)

    async def leave(number: int) -> str:
        drawing = asyncio.ensure_future(caller.draw(activity.activity_id, f"a{number}", 2))
        for _ in range(number % 30):
            await asyncio.sleep(0)
        drawing.cancel()
        return await outcome_of(drawing)

    leaving = asyncio.gather(*[leave(number) for number in range(300)])
    staying = [outcome_of(caller.draw(activity.activity_id, f"b{n}", 3)) for n in range(50)]
    assert ["OK"] * 50 == await asyncio.gather(*staying)
    assert "left" in Counter(await leaving)
    await eventually(nothing_is_in_hand)


async def test_nobody_is_drawn_for_who_has_left_before_his_batch_is_sent(
    patient_world: World, redis: Redis
) -> None:
    """Nor who was told meanwhile that it takes too long; their neighbours are."""
    activity = await patient_world.activity((1000, SURE))
    caller = patient_world.service()
    await caller.draw(activity.activity_id, "warm", 1)
    await redis.client_pause(600_000, all=False)  # what writes waits

    def draw(request_id: str, timeout: float) -> "asyncio.Future[str]":
        call = caller.draw(activity.activity_id, request_id, 2, timeout=timeout)
        return asyncio.ensure_future(outcome_of(call))

    async def are_in_hand(calls: int) -> bool:
        return calls == in_hand()

    first = draw("first", _LONG_S)
    await eventually(partial(are_in_hand, 1))
    leaving = [draw(f"leaves{number}", _LONG_S) for number in range(20)]
    late = [draw(f"late{number}", 1.0) for number in range(20)]
    staying = [draw(f"stays{number}", _LONG_S) for number in range(20)]
    assert {"UNAVAILABLE", "DEADLINE_EXCEEDED"} >= set(await asyncio.gather(*late))
    await eventually(partial(are_in_hand, 41))
    for call in leaving:
        call.cancel()
    await eventually(partial(are_in_hand, 21))
    await redis.client_unpause()
    assert ["OK"] * 21 == await asyncio.gather(first, *staying)
    for request_id, is_drawn in (("leaves7", False), ("late7", False), ("stays7", True)):
        again = await caller.draw(activity.activity_id, request_id, 2)
        assert again.replayed is is_drawn
    assert [1000 - 24] == await patient_world.left(activity)


async def test_caller_who_is_late_is_told_so_and_others_are_not(world: World) -> None:
    """Each call has its own deadline, though many are answered together."""
    activity = await world.activity((1, SURE), confirm=pool_pb2.CONFIRM_RECORDED)
    caller = world.service()
    await outcome_of(caller.draw(activity.activity_id, "warm", 1, timeout=0.5))  # the only unit
    waits = [outcome_of(caller.draw(activity.activity_id, "warm", 1, timeout=0.5))]
    misses = [
        outcome_of(caller.draw(activity.activity_id, "a", n, timeout=15)) for n in range(2, 9)
    ]
    told = await asyncio.gather(*waits, *misses)
    assert "UNAVAILABLE" == told[0]
    assert ["OK"] * 7 == told[1:]
    await eventually(nothing_is_in_hand)


async def test_call_that_is_too_large_is_refused_and_its_connection_goes_on(world: World) -> None:
    """Forty kilobytes of headers, or a message beyond the bound, end that call alone."""
    activity = await world.activity((5, SURE))
    headers = [(f"x-{number}", "v" * 500) for number in range(80)]
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(world.addresses[0], options=options) as channel:
        draw = channel.unary_unary(METHOD, bytes, bytes)
        beside = [outcome_of(world.user(7).draw(activity.activity_id, f"{n}")) for n in range(4)]
        told = await asyncio.gather(
            outcome_of(draw(b"", metadata=headers, timeout=15)),
            outcome_of(draw(b"\0" * (16 << 20), timeout=15)),
            *beside,
        )
        assert ["RESOURCE_EXHAUSTED"] * 2 == told[:2]
        assert ["OK"] * 4 == told[2:]
        assert "UNAUTHENTICATED" == await outcome_of(draw(b"", timeout=15))


async def test_method_that_nobody_has_is_unimplemented(world: World) -> None:
    """As gRPC has it."""
    call = world.channels[0].unary_unary(METHOD + "Twice", bytes, bytes)
    assert "UNIMPLEMENTED" == await outcome_of(call(b"", timeout=15))


async def test_streams_go_on_beside_draws(world: World) -> None:
    """A stream is answered as it comes, ends when its caller ends it, and shows itself at once."""
    activity = await world.activity((50, SURE))
    stream = world.service().stream()
    for number in range(3):
        draw = element(activity.activity_id, 1, f"a{number}")
        await stream.write(draw_pb2.DrawStreamRequest(draw=draw))
        assert number == (await stream.read()).index
        assert (await world.user(2).draw(activity.activity_id, f"a{number}")).won
    await stream.done_writing()
    assert grpc.StatusCode.OK == await stream.code()


async def test_process_tells_of_its_health_and_its_services(world: World) -> None:
    """Health and reflection are there whatever takes the calls."""
    (channel,) = world.channels
    health = health_pb2_grpc.HealthStub(channel)
    checked = health_pb2.HealthCheckRequest(service="live")
    serving = health_pb2.HealthCheckResponse.SERVING
    assert serving == (await health.Check(checked, timeout=15)).status
    watching = health.Watch(checked, timeout=15)
    assert serving == (await watching.read()).status
    watching.cancel()
    unknown = health_pb2.HealthCheckRequest(service="nobody")
    assert "NOT_FOUND" == await outcome_of(health.Check(unknown, timeout=15))
    asking = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(timeout=15)
    await asking.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    listed = (await asking.read()).list_services_response.service
    assert "kuji.draw.v1.DrawService" in [one.name for one in listed]
    asking.cancel()

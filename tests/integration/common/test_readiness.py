"""Health that means it: who is ready, and who lives, while a store is away or the process ends."""

import asyncio
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.auth.v1 import auth_pb2
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from services.common.server.health import LIVE
from services.common.status import error_info_of
from tests.support.house import SERVICES, House, open_house

TIMEOUT_S = 30
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def status(channel: grpc.aio.Channel, name: str = "") -> int:
    """What is said of *name* now."""
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=name)
    return int((await stub.Check(request, timeout=TIMEOUT_S)).status)


async def told(channel: grpc.aio.Channel, wanted: int) -> None:
    """Return when the process says *wanted* of its readiness."""
    stub = health_pb2_grpc.HealthStub(channel)
    async for change in stub.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S):
        if change.status == wanted:
            return


async def all_told(house: House, *unready: str) -> None:
    """Return when these are not ready, and the others are; all of them live throughout."""
    async with asyncio.TaskGroup() as tasks:
        for service, channel in house.health.items():
            wanted = NOT_SERVING if service in unready else SERVING
            tasks.create_task(told(channel, wanted))
    for service in SERVICES:
        wanted = NOT_SERVING if service in unready else SERVING
        assert (service, wanted) == (service, await status(house.health[service]))
        assert (service, SERVING) == (service, await status(house.health[service], LIVE))


async def test_readiness_follows_the_stores_and_life_does_not(
    tmp_path: Path, redis_url: str, postgres_dsn: str
) -> None:
    """
    Without Redis draw is not ready, without Postgres admin; both come back by themselves. Auth has
    its keys, history one of the two, draw goes on without Postgres: they are left in service.
    """
    async with open_house(tmp_path, redis_url, postgres_dsn, KUJI_STOP_DELAY_S="1") as house:
        await all_told(house)
        house.redis_gate.freeze()
        await all_told(house, "draw", "recorder")
        await house.postgres_gate.refuse()
        await all_told(house, "draw", "recorder", "admin", "history")
        house.redis_gate.resume()
        await all_told(house, "recorder", "admin")
        house.postgres_gate.resume()
        await all_told(house)
        await streams_end_with_the_process(house)
        await stops_in_order(house)


async def stops_in_order(house: House) -> None:
    """Told to stop, auth says so and goes on for a while; whoever watches is told the end of it."""
    stub = health_pb2_grpc.HealthStub(house.health["auth"])
    request = health_pb2.HealthCheckRequest(service="kuji.auth.v1.AuthService")
    watching = aiter(stub.Watch(request, timeout=TIMEOUT_S))
    assert SERVING == (await anext(watching)).status
    house.children["auth"].ask_to_stop()
    assert NOT_SERVING == (await anext(watching)).status
    await house.stub("Auth").GetJwks(auth_pb2.GetJwksRequest(), timeout=TIMEOUT_S)
    assert SERVING == await status(house.health["auth"], LIVE)
    with pytest.raises(StopAsyncIteration):
        await anext(watching)
    assert 0 == await asyncio.wait_for(house.children["auth"].wait(), TIMEOUT_S)


async def streams_end_with_the_process(house: House) -> None:
    """Those that idle do not hold it up: listeners see an end, drawers are told to come again."""
    metadata = (("authorization", f"Bearer {await house.service_token()}"),)
    drawing = house.stub("Draw").DrawStream(timeout=TIMEOUT_S, metadata=metadata)
    listening = house.stub("History").StreamWinners(
        history_pb2.StreamWinnersRequest(), timeout=TIMEOUT_S
    )
    await drawing.write(draw_pb2.DrawStreamRequest())
    assert "INVALID_ARGUMENT" == (await drawing.read()).outcome.error.reason
    await listening.initial_metadata()
    for service in ("draw", "history"):
        house.children[service].ask_to_stop()
    assert [] == [winner async for winner in listening]
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        await drawing.read()
    info = error_info_of(ended.value)
    assert "UNAVAILABLE" == (info and info.reason)
    for service in ("draw", "history"):
        assert 0 == await asyncio.wait_for(house.children[service].wait(), TIMEOUT_S)

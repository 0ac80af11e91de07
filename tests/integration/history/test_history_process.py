"""The history service as a process."""

import asyncio
import os

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.blindbox.v1 import records_pb2, records_pb2_grpc
from kuji.history.v1 import history_pb2 as pb
from kuji.history.v1 import history_pb2_grpc

from services.common.status import error_info_of
from stack.ports import free_port
from tests.support.service_process import outcome_of, started

SERVICE = "kuji.history.v1.HistoryService"
BLINDBOX = "kuji.blindbox.v1.BlindBoxRecordService"


TIMEOUT_S = 60


def told(**variables: str) -> dict[str, str]:
    """Nothing but *variables*."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("KUJI_")}
    return {**others, **variables}


async def test_process_serves_the_public_lists_and_stops_on_sigterm(
    postgres_dsn: str, redis_url: str
) -> None:
    """Healthy, open to anyone where it says so, closed elsewhere; exit code 0 at the end."""
    listen = f"127.0.0.1:{free_port()}"
    variables = told(
        KUJI_LISTEN=listen,
        KUJI_POSTGRES_DSN=postgres_dsn,
        KUJI_REDIS_URL=redis_url,
        KUJI_AUTH_ADDRESS=f"127.0.0.1:{free_port()}",
    )
    async with started("history", variables) as process:
        async with grpc.aio.insecure_channel(listen) as channel:
            for service in (SERVICE, BLINDBOX):
                health = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest(service=service), wait_for_ready=True, timeout=60
                )
                assert health_pb2.HealthCheckResponse.SERVING == health.status
            stub = history_pb2_grpc.HistoryServiceStub(channel)
            page = await stub.ListWinners(pb.ListWinnersRequest(), timeout=10)
            assert pb.ListWinnersResponse(page=1, page_size=20) == page
            records = records_pb2_grpc.BlindBoxRecordServiceStub(channel)
            goods = await records.ListGoods(records_pb2.ListGoodsRequest(), timeout=10)
            assert records_pb2.ListGoodsResponse() == goods
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetResult(pb.GetResultRequest(draw_id="1-1"), timeout=10)
            info = error_info_of(caught.value)
            assert "UNAUTHENTICATED" == (info and info.reason)
        process.ask_to_stop()
        assert 0 == await asyncio.wait_for(process.ended(), TIMEOUT_S)


async def test_process_names_what_it_was_not_told() -> None:
    """A missing setting is one sentence and exit code 2."""
    variables = told(KUJI_LISTEN="127.0.0.1:0", KUJI_REDIS_URL="redis://127.0.0.1:1")
    lines = ["kuji: KUJI_POSTGRES_DSN is not set", "kuji: KUJI_AUTH_ADDRESS is not set"]
    outcome = await asyncio.wait_for(outcome_of("history", variables), TIMEOUT_S)
    assert (2, lines) == outcome


async def test_process_says_so_when_its_address_is_taken(postgres_dsn: str, redis_url: str) -> None:
    """One sentence that names the address, and exit code 1."""
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    address = f"127.0.0.1:{taken.sockets[0].getsockname()[1]}"
    async with taken:
        variables = told(
            KUJI_LISTEN=address,
            KUJI_POSTGRES_DSN=postgres_dsn,
            KUJI_REDIS_URL=redis_url,
            KUJI_AUTH_ADDRESS="127.0.0.1:1",
        )
        code, said = await asyncio.wait_for(outcome_of("history", variables), TIMEOUT_S)
    is_named = said[-1].startswith("kuji: history stopped: ")
    assert (1, True, True) == (code, is_named, address in said[-1])

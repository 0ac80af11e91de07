"""What the edge says when a service, or its keys, are away: the truth, and when to ask again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from grpc_health.v1 import health_pb2_grpc
from kuji.blindbox.v1 import records_pb2

from services.common.enveloped import name_enveloped
from services.common.server.health import START, Health
from tests.contract.edge_rig import running_rig, start_upstream

CARDS = "/api/blindbox/item_cards"


def told(response: httpx.Response) -> tuple[int, str, Any]:
    """Status, reason and metadata."""
    body = response.json()
    return response.status_code, body["reason"], body.get("metadata")


async def test_token_is_not_called_bad_when_the_edge_has_no_keys(tmp_path: Path) -> None:
    """Auth is away since before the edge started: 503, and 200 once it is there; no hand."""
    async with running_rig(tmp_path, missing="auth") as rig:
        rig.script.answer("ListItemCards", records_pb2.ListItemCardsResponse())
        response = await rig.call("GET", CARDS, "user")
        assert (503, "UNAVAILABLE", {"retry_after_ms": "500"}) == told(response)
        assert response.json()["msg"].startswith("Access tokens cannot be checked")
        assert (401, "UNAUTHENTICATED", None) == told(await rig.call("GET", CARDS))
        (address,) = rig.edge.upstreams["auth"]
        rig.upstreams.append(await start_upstream(rig.script, "auth", address))
        await rig.wait_for_health(200)
        codes = set()
        while 200 not in codes:
            codes.add((await rig.call("GET", CARDS, "user")).status_code)
        assert {200, 503} >= codes
        forged = rig.script.token("user", Ed25519PrivateKey.generate())
        headers = {"authorization": f"Bearer {forged}"}
        response = await rig.http.get(CARDS, headers=headers)
        assert (401, "UNAUTHENTICATED", None) == told(response)


@asynccontextmanager
async def giving_up(address: str, code: grpc.StatusCode) -> AsyncIterator[None]:
    """
    A draw process that is healthy, and gives up every draw.

    It ends each without a reason, as a server does that stops, or that is out of time.
    """

    async def give_up(_request: Any, context: Any) -> None:
        await context.abort(code, "")

    server = grpc.aio.server()
    draws = {name_enveloped("Draw"): grpc.unary_unary_rpc_method_handler(give_up)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("kuji.draw.v1.DrawService", draws),)
    )
    health = Health()
    health.have(START)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(address)
    await server.start()
    yield
    await server.stop(None)


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED])
async def test_call_that_a_service_gave_up_is_unavailable(
    code: grpc.StatusCode, tmp_path: Path
) -> None:
    """Its outcome is unknown: neither 499, which nobody knows, nor INTERNAL, which it is not."""
    async with running_rig(tmp_path, missing="draw") as rig:
        (address,) = rig.edge.upstreams["draw"]
        async with giving_up(address, code):
            await rig.wait_for_health(200)
            response = await rig.call("POST", "/api/lottery/draw", "user")
    assert (503, "UNAVAILABLE", {"retry_after_ms": "500"}) == told(response)

"""What the edge does when services are unhealthy, die or are many."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf import message_factory
from kuji.blindbox.v1 import records_pb2
from kuji.draw.v1 import draw_pb2

from services.common.context import RequestContext
from stack.probes import http_get_from_socket
from tests.contract.edge_rig import SERVICES, Rig, running_rig
from tests.contract.test_edge_access import ROUTES, Route

CARDS = "/api/blindbox/item_cards"
DRAW = "/api/lottery/draw"
PLAIN = [route for route in ROUTES if not route.rpc.server_streaming]


@pytest.fixture
async def two_draws(tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig of its own with two draw processes."""
    async with running_rig(tmp_path, draw_processes=2) as rig:
        rig.script.answer("Draw", draw_pb2.DrawResponse())
        yield rig


@pytest.mark.parametrize("service", SERVICES)
async def test_edge_is_unhealthy_when_a_service_is(rig: Rig, service: str) -> None:
    """/healthz tells the truth about each service, and recovers with it."""
    upstream = next(found for found in rig.upstreams if found.service == service)
    await upstream.set_healthy(False)
    await rig.wait_for_health(503)
    await upstream.set_healthy(True)
    await rig.wait_for_health(200)


def _let_answer(rig: Rig, route: Route) -> None:
    rig.script.answer(route.rpc.name, message_factory.GetMessageClass(route.rpc.output_type)())


@pytest.mark.parametrize("route", PLAIN, ids=str)
async def test_every_call_has_the_deadline_of_the_edge(rig: Rig, route: Route) -> None:
    """No service is asked without saying how long it has."""
    _let_answer(rig, route)
    # A query of its own, so that the edge's cache does not answer.
    paged = "page" in route.rpc.input_type.fields_by_name
    await rig.call(route.verb, f"{route.path}?page=30" if paged else route.path, "admin")
    _, _, ctx = rig.script.requests[-1]
    assert 10 < ctx.remaining_s <= 14


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("draw", DRAW),
        ("draw", "/api/blindbox/item_card_draw"),
        ("history", CARDS),
    ],
)
async def test_call_is_refused_at_once_when_its_service_is_unhealthy(
    rig: Rig, service: str, path: str
) -> None:
    """No waiting for a service that is known to be down."""
    upstream = next(found for found in rig.upstreams if found.service == service)
    await upstream.set_healthy(False)
    await rig.wait_for_health(503)
    route = next(found for found in PLAIN if found.path == path)
    _let_answer(rig, route)
    # Envoy's workers learn of it one after the other.
    async with asyncio.timeout(10):
        while (response := await rig.call(route.verb, path, "user")).status_code == 200:
            pass
    await upstream.set_healthy(True)
    await rig.wait_for_health(200)
    body = response.json()
    assert (503, "UNAVAILABLE") == (response.status_code, body["reason"])
    assert (0, None, {"retry_after_ms": "500"}) == (body["status"], body["data"], body["metadata"])


async def test_service_is_asked_again_as_soon_as_it_is_healthy(two_draws: Rig) -> None:
    """Envoy keeps no news of health back, as it does by default, for a second."""
    upstream = next(found for found in two_draws.upstreams if found.service == "history")
    two_draws.script.answer("ListItemCards", records_pb2.ListItemCardsResponse())
    await upstream.set_healthy(False)
    await two_draws.wait_for_health(503)
    await upstream.set_healthy(True)
    async with asyncio.timeout(10):
        while (await two_draws.call("GET", CARDS, "user")).status_code != 200:
            pass
    _, stats = await http_get_from_socket(two_draws.edge.admin_socket, "/stats")
    assert ["0"] == re.findall(r"cluster_manager\.cluster_updated_via_merge: (\d+)", stats)


async def test_draws_go_on_when_one_of_two_processes_dies(two_draws: Rig) -> None:
    """No caller notices the death of an idle draw process."""
    dying = next(found for found in two_draws.upstreams if found.service == "draw")
    await dying.server.stop(0)
    codes = [(await two_draws.call("POST", DRAW, "user")).status_code for _ in range(20)]
    assert [200] * 20 == codes


async def test_draws_are_spread_over_all_processes(two_draws: Rig) -> None:
    """Each draw process gets its share."""
    for _ in range(8):
        await two_draws.call("POST", DRAW, "user")
    _, stats = await http_get_from_socket(two_draws.edge.admin_socket, "/clusters")
    served = [line for line in stats.splitlines() if line.startswith("draw::127")]
    counts = [int(line.rpartition("::")[2]) for line in served if "::rq_success::" in line]
    assert [4, 4] == counts


async def test_draw_is_not_repeated_when_its_outcome_is_unknown(two_draws: Rig) -> None:
    """A draw that may have happened is the caller's to repeat, who has its request id."""
    draws = [found.server for found in two_draws.upstreams if found.service == "draw"]
    calls: list[RequestContext] = []
    deaths: list[asyncio.Future[None]] = []

    async def die_while_drawing(
        request: draw_pb2.DrawRequest, ctx: RequestContext
    ) -> draw_pb2.DrawResponse:
        calls.append(ctx)
        deaths.extend(asyncio.ensure_future(server.stop(0)) for server in draws)
        return await asyncio.Future()  # until the death of its server ends it

    two_draws.script.behave("Draw", die_while_drawing)
    response = await two_draws.call("POST", DRAW, "user")
    await asyncio.gather(*deaths)
    assert (503, "UNAVAILABLE", 1) == (response.status_code, response.json()["reason"], len(calls))

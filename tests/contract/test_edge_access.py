"""The edge's token and role rules, held against the access option of every RPC."""

import re
from dataclasses import dataclass

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from tests.contract.edge_rig import SERVICES, Rig
from tests.support.access import CALLERS, EXPIRED, NOBODY, OK, STRANGERS, row

METHODS = [
    method for services in SERVICES.values() for service in services for method in service.methods
]


@dataclass(frozen=True)
class Route:
    """An RPC's HTTP face, its path's variables filled in."""

    rpc: MethodDescriptor
    verb: str
    path: str

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


def _route_of(rpc: MethodDescriptor) -> Route:
    rule = rpc.GetOptions().Extensions[annotations_pb2.http]
    verb = str(rule.WhichOneof("pattern"))
    return Route(rpc, verb.upper(), re.sub(r"\{[^}]*\}", "5", getattr(rule, verb)))


def _is_routed(rpc: MethodDescriptor) -> bool:
    return bool(rpc.GetOptions().HasExtension(annotations_pb2.http))


ROUTES = [_route_of(rpc) for rpc in METHODS if _is_routed(rpc)]
# What Envoy itself asks for, and what it keeps for a second.
_KEPT = ("GetJwks", "ListWinners")
HIDDEN = [rpc for rpc in METHODS if not _is_routed(rpc)]


def _let_answer(rig: Rig, route: Route) -> None:
    empty = message_factory.GetMessageClass(route.rpc.output_type)()
    rig.script.answer(route.rpc.name, [empty] if route.rpc.server_streaming else empty)


def _asked(rig: Rig) -> list[str]:
    """The requests that reached a service, by the names of their types, one to each RPC."""
    calls = rig.script.requests
    return [str(request.DESCRIPTOR.full_name) for name, request, _ in calls if name not in _KEPT]


async def _verdict(rig: Rig, route: Route, caller: str) -> tuple[str, list[str]]:
    """OK or the reason of the refusal, and what reached a service."""
    rig.script.requests.clear()
    response = await rig.http.request(route.verb, route.path, headers=_headers(rig, caller))
    if response.status_code == 200:
        return OK, _asked(rig)
    said = response.json()
    assert (
        response.status_code == {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}[said["reason"]]
    )
    return said["reason"], _asked(rig)


def _headers(rig: Rig, caller: str) -> dict[str, str]:
    if caller == NOBODY:
        return {}
    token = rig.script.token("admin", exp=1) if caller == EXPIRED else rig.script.token(caller)
    return {"authorization": f"Bearer {token}"}


def _expected(route: Route) -> dict[str, str]:
    """The table's row, but where the edge looks at roles, one that is none is just a wrong one."""
    expected = row(route.rpc)
    if "PERMISSION_DENIED" in expected.values():
        expected |= dict.fromkeys(STRANGERS, "PERMISSION_DENIED")
    return expected


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_route_admits_the_roles_of_its_access_alone(rig: Rig, route: Route) -> None:
    """
    A row of the table. Who is admitted reaches exactly the RPC that the proto binds to the route;
    whom the edge refuses, no service hears of.
    """
    _let_answer(rig, route)
    found = {caller: await _verdict(rig, route, caller) for caller in CALLERS}
    reached = [] if route.rpc.name in _KEPT else [str(route.rpc.input_type.full_name)]
    expected = _expected(route)
    assert {c: (said, reached if said == OK else []) for c, said in expected.items()} == found


@pytest.mark.parametrize("rpc", HIDDEN, ids=lambda rpc: rpc.full_name)
async def test_rpc_without_a_route_is_unknown_to_the_edge(rig: Rig, rpc: MethodDescriptor) -> None:
    """An RPC for services cannot be reached through the edge, not even by its gRPC path."""
    path = f"/{rpc.containing_service.full_name}/{rpc.name}"
    response = await rig.call("POST", path, "service")
    assert (404, "NOT_FOUND", []) == (response.status_code, response.json()["reason"], _asked(rig))


@pytest.mark.parametrize("rpc", METHODS, ids=lambda rpc: rpc.full_name)
async def test_grpc_does_not_pass_the_edge(rig: Rig, rpc: MethodDescriptor) -> None:
    """A gRPC call at the edge is UNIMPLEMENTED, in gRPC's own way."""
    path = f"/{rpc.containing_service.full_name}/{rpc.name}"
    token = rig.script.token("service")
    headers = {"content-type": "application/grpc", "authorization": f"Bearer {token}"}
    response = await rig.http.post(path, headers=headers)
    unimplemented = str(grpc.StatusCode.UNIMPLEMENTED.value[0])
    assert (unimplemented, []) == (response.headers["grpc-status"], _asked(rig))

"""The edge's token and role rules, held against the access option of every RPC."""

import re
from dataclasses import dataclass

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from kuji.common.v1.access_pb2 import Access

from services.common.contract import access_of
from tests.contract.edge_rig import SERVICES, Rig

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
HIDDEN = [rpc for rpc in METHODS if not _is_routed(rpc)]


def _with_access(*access: int) -> list[Route]:
    return [route for route in ROUTES if access_of(route.rpc) in access]


PROTECTED = _with_access(Access.ACCESS_USER, Access.ACCESS_ADMIN, Access.ACCESS_SERVICE_OR_ADMIN)


def _let_answer(rig: Rig, route: Route) -> None:
    empty = message_factory.GetMessageClass(route.rpc.output_type)()
    rig.script.answer(route.rpc.name, [empty] if route.rpc.server_streaming else empty)


def _asked(rig: Rig) -> list[str]:
    """The requests that reached a service, by the names of their types, one to each RPC."""
    calls = rig.script.requests
    return [str(request.DESCRIPTOR.full_name) for name, request, _ in calls if name != "GetJwks"]


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_PUBLIC), ids=str)
async def test_public_route_answers_without_a_token(rig: Rig, route: Route) -> None:
    """What the proto opens to anyone, the edge does too."""
    _let_answer(rig, route)
    assert (await rig.call(route.verb, route.path)).status_code == 200


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_PUBLIC), ids=str)
async def test_public_route_answers_when_the_token_is_stale(rig: Rig, route: Route) -> None:
    """A token that a public call does not need cannot spoil it."""
    _let_answer(rig, route)
    stale = {"authorization": f"Bearer {rig.script.token(exp=1)}"}
    response = await rig.http.request(route.verb, route.path, headers=stale)
    assert response.status_code == 200


@pytest.mark.parametrize("route", PROTECTED, ids=str)
async def test_protected_route_refuses_when_no_token_comes(rig: Rig, route: Route) -> None:
    """Without a token the edge answers, and no service is asked."""
    response = await rig.call(route.verb, route.path)
    assert (401, "UNAUTHENTICATED") == (response.status_code, response.json()["reason"])
    assert [] == _asked(rig)


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_USER), ids=str)
async def test_user_route_reaches_its_method_with_a_users_token(rig: Rig, route: Route) -> None:
    """A logged-in user reaches exactly the RPC that the proto binds to the route."""
    _let_answer(rig, route)
    response = await rig.call(route.verb, route.path, "user")
    assert (200, [route.rpc.input_type.full_name]) == (response.status_code, _asked(rig))


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_ADMIN), ids=str)
@pytest.mark.parametrize("role", ["user", "service"])
async def test_admin_route_refuses_other_roles(rig: Rig, route: Route, role: str) -> None:
    """Only the admin role passes; the refusal is the edge's own."""
    response = await rig.call(route.verb, route.path, role)
    assert (403, "PERMISSION_DENIED") == (response.status_code, response.json()["reason"])
    assert [] == _asked(rig)


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_ADMIN), ids=str)
async def test_admin_route_reaches_its_method_with_an_admins_token(rig: Rig, route: Route) -> None:
    """An administrator reaches exactly the RPC that the proto binds to the route."""
    _let_answer(rig, route)
    response = await rig.call(route.verb, route.path, "admin")
    assert (200, [route.rpc.input_type.full_name]) == (response.status_code, _asked(rig))


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_SERVICE_OR_ADMIN), ids=str)
@pytest.mark.parametrize("role", ["user", "microservice", "services"])
async def test_service_or_admin_route_refuses_other_roles(
    rig: Rig, route: Route, role: str
) -> None:
    """What a shop may do for a buyer, no buyer may; the refusal is the edge's own."""
    response = await rig.call(route.verb, route.path, role)
    assert (403, "PERMISSION_DENIED") == (response.status_code, response.json()["reason"])
    assert [] == _asked(rig)


@pytest.mark.parametrize("route", _with_access(Access.ACCESS_SERVICE_OR_ADMIN), ids=str)
@pytest.mark.parametrize("role", ["service", "admin"])
async def test_service_or_admin_route_reaches_its_method(rig: Rig, route: Route, role: str) -> None:
    """A service and an administrator reach exactly the RPC that the proto binds to the route."""
    _let_answer(rig, route)
    response = await rig.call(route.verb, route.path, role)
    assert (200, [route.rpc.input_type.full_name]) == (response.status_code, _asked(rig))


def test_every_route_is_public_or_protected() -> None:
    """No routed RPC has an access rule that these tests leave out."""
    assert len(ROUTES) == len(_with_access(Access.ACCESS_PUBLIC)) + len(PROTECTED)


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

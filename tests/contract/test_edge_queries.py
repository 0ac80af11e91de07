"""What a query may say: nothing to a write, and to a read nothing that its path says."""

import re
from collections.abc import Iterator

import httpx
import pytest
from google.api import annotations_pb2
from kuji.admin.v1 import admin_pb2
from kuji.history.v1 import history_pb2

from tests.contract.edge_rig import Rig
from tests.contract.test_edge_access import ROUTES, Route

WRITES = [route for route in ROUTES if route.verb != "GET"]
PRIZE = "/admin/api/prizes/7"


def _path_names(route: Route) -> list[str]:
    rule = route.rpc.GetOptions().Extensions[annotations_pb2.http]
    return re.findall(r"\{(\w+)\}", getattr(rule, str(rule.WhichOneof("pattern"))))


def _camel(name: str) -> str:
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def _spellings(name: str) -> Iterator[str]:
    """The ways to write *name* that a decoder may take for it."""
    yield from {name, name.replace("_", "%5F"), name.replace("_", "%5f"), _camel(name)}
    yield "".join(f"%{byte:02x}" for byte in name.encode())


IN_PATH = [
    (route, spelling) for route in ROUTES for n in _path_names(route) for spelling in _spellings(n)
]
IN_WRITE = [
    (route, spelling)
    for route in WRITES
    for field in route.rpc.input_type.fields
    for spelling in _spellings(field.name)
]


async def _refused_field(rig: Rig, verb: str, target: str) -> str:
    """The field that the refusal of *verb* *target* names; no service heard of the call."""
    url = httpx.Request("GET", rig.edge.url).url.copy_with(raw_path=target.encode())
    response = await rig.call(verb, url, "admin")
    body = response.json()
    assert (400, 0, "INVALID_ARGUMENT") == (response.status_code, body["status"], body["reason"])
    assert [] == [name for name, _, _ in rig.script.requests if name != "GetJwks"]
    return str(body["metadata"]["field"])


async def test_query_cannot_turn_a_write_to_something_else(rig: Rig) -> None:
    """The prize that the path names is deleted, or none."""
    rig.script.answer("DeletePrize", admin_pb2.DeletePrizeResponse())
    assert "prize_id" == await _refused_field(rig, "DELETE", f"{PRIZE}?prize_id=8")
    assert 200 == (await rig.call("DELETE", PRIZE, "admin")).status_code
    assert [7] == [call.prize_id for name, call, _ in rig.script.requests if name == "DeletePrize"]


async def test_write_takes_nothing_from_the_query(rig: Rig) -> None:
    """No field of any write can be set beside its path and body, however its name is written."""
    for route, spelling in IN_WRITE:
        decoded = str(httpx.QueryParams(f"{spelling}=8").multi_items()[0][0])
        assert decoded == await _refused_field(rig, route.verb, f"{route.path}?{spelling}=8")


@pytest.mark.parametrize("query", ["nothing=1", "prize.prize_id=8", "a=%ff", "%ff=1", "=8", "x"])
async def test_write_refuses_any_query(rig: Rig, query: str) -> None:
    """Nested, unknown, nameless: none is passed over."""
    await _refused_field(rig, "DELETE", f"{PRIZE}?{query}")


async def test_query_says_nothing_that_the_path_says(rig: Rig) -> None:
    """A read, too, is of what its path names."""
    for route, spelling in IN_PATH:
        assert await _refused_field(rig, route.verb, f"{route.path}?{spelling}=8")


async def test_parameter_is_refused_when_sent_twice(rig: Rig) -> None:
    """Two values for one name are no request."""
    path = "/api/lottery/global-history"
    assert "page" == await _refused_field(rig, "GET", f"{path}?page=41&page_size=3&page=42")
    assert "page" == await _refused_field(rig, "GET", f"{path}?page=41&p%61ge=42")


@pytest.mark.parametrize("query", ["", "?", "?&", "?page=3&", "?p%61ge=43"])
async def test_query_passes_when_it_fits(rig: Rig, query: str) -> None:
    """Nothing between separators is nothing, and an encoded name is its name."""
    rig.script.answer("ListUserDraws", history_pb2.ListUserDrawsResponse())
    response = await rig.call("GET", f"/api/user/lottery-history{query}", "user")
    assert 200 == response.status_code

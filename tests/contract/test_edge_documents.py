"""Documents that the edge gives by itself."""

import json

import pytest

from stack.processes import ROOT
from tests.contract.edge_rig import Rig

OPENAPI = "/openapi.json"
ORIGIN = "https://shop.example"


async def test_openapi_document_is_the_one_checked_in(rig: Rig) -> None:
    """Anybody gets it, from any page, without a token; and it is no success in an envelope."""
    response = await rig.http.get(OPENAPI, headers={"origin": ORIGIN})
    assert json.loads((ROOT / "envoy" / "openapi.json").read_bytes()) == response.json()
    assert "application/json" == response.headers["content-type"]
    assert ORIGIN == response.headers["access-control-allow-origin"]
    assert [] == [name for name, _, _ in rig.script.requests if name != "GetJwks"]


async def test_openapi_document_may_be_kept_by_callers(rig: Rig) -> None:
    """A caller that has it gets nothing anew, while it is the same."""
    headers = (await rig.http.get(OPENAPI)).headers
    assert "public, max-age=300" == headers["cache-control"]
    assert {"accept-encoding", "origin"} <= set(headers["vary"].lower().split(", "))
    again = await rig.http.get(OPENAPI, headers={"if-none-match": headers["etag"]})
    assert (304, b"", headers["etag"]) == (again.status_code, again.content, again.headers["etag"])
    other = await rig.http.get(OPENAPI, headers={"if-none-match": '"other"'})
    assert 200 == other.status_code


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_openapi_document_has_a_head(rig: Rig, encoding: str) -> None:
    """The same headers, no body."""
    headers = {"accept-encoding": encoding}
    got, head = [await rig.http.request(v, OPENAPI, headers=headers) for v in ("GET", "HEAD")]
    assert (200, b"") == (head.status_code, head.content)
    for name in ("content-type", "content-length", "etag", "cache-control", "vary"):
        assert got.headers[name] == head.headers[name]
    assert encoding == head.headers.get("content-encoding", "identity")


async def test_openapi_document_takes_nothing(rig: Rig) -> None:
    """No query, no other method."""
    refused = await rig.http.get(f"{OPENAPI}?a=1")
    assert (400, {"field": "a"}) == (refused.status_code, refused.json()["metadata"])
    other = await rig.http.post(OPENAPI)
    assert (405, "GET, HEAD") == (other.status_code, other.headers["allow"])

"""The pages, as the edge gives them: what is built of web/, and nothing in their place."""

import re

import pytest

from stack.edge.pages import BUILT, POLICY
from tests.contract.edge_rig import Rig

DOCUMENT = (BUILT / "index.html").read_bytes()
PAGES = ["/", "/activities/7", "/verify", "/boxes/3/1", "/admin", "/admin/activities/1"]
SCRIPT = "/" + re.findall(r'src="/(assets/[^"]+\.js)"', DOCUMENT.decode())[0]


@pytest.mark.parametrize("path", PAGES)
async def test_page_is_the_document_under_a_strict_policy(rig: Rig, path: str) -> None:
    """Its script shows what the path names; nothing but ours runs in it, and nobody frames it."""
    got = await rig.http.get(path)
    assert (200, DOCUMENT) == (got.status_code, got.content)
    assert "text/html; charset=utf-8" == got.headers["content-type"]
    assert POLICY == got.headers["content-security-policy"]
    assert ("nosniff", "no-referrer") == (
        got.headers["x-content-type-options"],
        got.headers["referrer-policy"],
    )
    assert [] == rig.script.requests


def test_policy_lets_no_script_stand_in_a_page() -> None:
    """Neither script nor style may be written into it, and no frame may hold it."""
    assert "unsafe" not in POLICY
    assert {"script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(
        POLICY.split("; ")
    )


async def test_document_is_asked_for_again_and_costs_nothing_while_it_is_the_same(rig: Rig) -> None:
    """After an upgrade the next visit has the new pages."""
    first = (await rig.http.get("/")).headers
    assert "no-cache" == first["cache-control"]
    again = await rig.http.get("/", headers={"if-none-match": first["etag"]})
    assert (304, b"", "no-cache") == (
        again.status_code,
        again.content,
        again.headers["cache-control"],
    )
    assert "location" not in again.headers
    other = await rig.http.get("/", headers={"if-none-match": '"other"'})
    assert 200 == other.status_code


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_script_is_kept_for_good_under_its_name(rig: Rig, encoding: str) -> None:
    """Packed for whoever unpacks; GET and HEAD say the same."""
    headers = {"accept-encoding": encoding}
    got, head = [await rig.http.request(verb, SCRIPT, headers=headers) for verb in ("GET", "HEAD")]
    assert (BUILT / SCRIPT[1:]).read_bytes() == got.content
    assert "public, max-age=31536000, immutable" == got.headers["cache-control"]
    assert "text/javascript; charset=utf-8" == got.headers["content-type"]
    assert encoding == got.headers.get("content-encoding", "identity")
    assert "accept-encoding" in got.headers["vary"].lower()
    assert (200, b"") == (head.status_code, head.content)
    assert got.headers["content-length"] == head.headers["content-length"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/assets/gone.js",
        "/api/nothing",
        "/admin/api/nothing",
        "/admin/api",
        "/pages.json",
    ],
)
async def test_what_is_no_page_stays_a_refusal_as_json(rig: Rig, path: str) -> None:
    """No caller of the API is ever given a page for an answer."""
    got = await rig.http.get(path, headers={"accept": "text/html"})
    assert (404, "NOT_FOUND") == (got.status_code, got.json()["reason"])


@pytest.mark.parametrize("path", ["/", "/activities/7", SCRIPT])
async def test_pages_are_only_read(rig: Rig, path: str) -> None:
    """Other methods are named as such."""
    got = await rig.http.post(path, json={})
    assert (405, "METHOD_NOT_ALLOWED") == (got.status_code, got.json()["reason"])
    assert "GET, HEAD" == got.headers["allow"]

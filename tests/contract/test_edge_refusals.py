"""What Envoy refuses by itself: always in the envelope, with the right code and reason."""

import asyncio
import gzip
import json
import re
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kuji.admin.v1 import goods_pb2
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from tests.contract.edge_rig import Rig

DRAW = "/api/lottery/draw"
GOODS = "/admin/api/goods"
WINNERS = "/api/lottery/global-history"


def _refusal(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert "application/json" == response.headers["content-type"]
    assert (0, None, True) == (body["status"], body["data"], bool(body["msg"]))
    assert body.keys() <= {"status", "msg", "reason", "data", "metadata"}
    return response.status_code, body["reason"]


def _wins(*draw_ids: str) -> history_pb2.ListWinnersResponse:
    return history_pb2.ListWinnersResponse(
        winners=[history_pb2.Winner(draw_id=draw_id) for draw_id in draw_ids]
    )


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": 1}, (401, "UNAUTHENTICATED")),
        ({"iss": "other"}, (401, "UNAUTHENTICATED")),
        ({"aud": "other"}, (403, "PERMISSION_DENIED")),
    ],
    ids=["expired", "foreign issuer", "for somebody else"],
)
async def test_token_is_refused_when_a_claim_is_wrong(
    rig: Rig, claims: dict[str, Any], expected: tuple[int, str]
) -> None:
    """A token must be ours, for us, and alive."""
    headers = {"authorization": f"Bearer {rig.script.token(**claims)}"}
    response = await rig.http.post(DRAW, headers=headers, json={})
    assert expected == _refusal(response)


async def test_token_is_refused_when_signed_by_another_key(rig: Rig) -> None:
    """A forged administrator's token is worth nothing."""
    forged = rig.script.token("admin", key=Ed25519PrivateKey.generate())
    response = await rig.http.get(
        "/admin/api/statistics", headers={"authorization": f"Bearer {forged}"}
    )
    assert (401, "UNAUTHENTICATED") == _refusal(response)


@pytest.mark.parametrize("header", ["Bearer", "Bearer x.y.z", "Basic YTpi", "x"])
async def test_token_is_refused_when_it_is_none(rig: Rig, header: str) -> None:
    """Rubbish in the header is no token."""
    response = await rig.http.post(DRAW, headers={"authorization": header}, json={})
    assert (401, "UNAUTHENTICATED") == _refusal(response)


@pytest.mark.parametrize("path", ["/api", "/api/nothing", "/admin/api/nothing", "/metrics"])
@pytest.mark.parametrize("role", [None, "user", "admin"])
async def test_route_is_not_found_when_unknown(rig: Rig, path: str, role: str | None) -> None:
    """An unknown route is 404, with and without a token."""
    assert (404, "NOT_FOUND") == _refusal(await rig.call("GET", path, role))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", DRAW), ("DELETE", WINNERS), ("DELETE", "/admin/api/activities/5")],
)
async def test_method_is_refused_when_the_route_has_another(
    rig: Rig, method: str, path: str
) -> None:
    """A known route with a wrong method is 405."""
    assert (405, "METHOD_NOT_ALLOWED") == _refusal(await rig.call(method, path, "admin"))


@pytest.mark.parametrize("size", [65_537, 5_000_000])
async def test_body_is_refused_when_too_large(rig: Rig, size: int) -> None:
    """A client that sends too much still reads the answer, and its connection lives on."""
    response = await rig.call("POST", DRAW, "user", content=b"x" * size)
    assert (413, "PAYLOAD_TOO_LARGE") == _refusal(response)
    assert "close" != response.headers.get("connection")


async def test_body_passes_when_as_large_as_allowed(rig: Rig) -> None:
    """64 KiB is within the bound."""
    rig.script.answer("Draw", draw_pb2.DrawResponse(result=draw_pb2.DrawResult()))
    body = b'{"request_id": "a"}'.ljust(65_536)
    assert 200 == (await rig.call("POST", DRAW, "user", content=body)).status_code


async def test_body_of_unknown_length_is_refused_when_too_large(rig: Rig) -> None:
    """Leaving the length out does not lift the bound."""

    async def pieces() -> Any:
        for _ in range(9):
            yield b"x" * 8192

    response = await rig.call("POST", DRAW, "user", content=pieces())
    assert (413, "PAYLOAD_TOO_LARGE") == _refusal(response)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{bad", "body"),
        ("[1]", "body"),
        ('{"activity_id": "x"}', "activity_id"),
        ('{"activity_id": {}}', "activity_id"),
        ('{"request_id": 5}', "request_id"),
    ],
)
async def test_body_is_refused_when_it_does_not_fit(rig: Rig, body: str, field: str) -> None:
    """Malformed JSON and wrong types are 400 and name the field."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    response = await rig.call("POST", DRAW, "user", content=body)
    assert (400, "INVALID_ARGUMENT") == _refusal(response)
    assert {"field": field} == response.json()["metadata"]


async def test_body_is_refused_when_it_contradicts_the_path(rig: Rig) -> None:
    """The path says what is changed: a body that names something else changes neither."""
    rig.script.answer("UpdateGoods", goods_pb2.UpdateGoodsResponse())
    response = await rig.call("PUT", f"{GOODS}/24", "admin", json={"goods_id": "1", "title": "x"})
    assert (400, "INVALID_ARGUMENT") == _refusal(response)
    assert [] == rig.script.requests


@pytest.mark.parametrize("goods_id", ["24", 24])
async def test_body_passes_when_it_repeats_the_path(rig: Rig, goods_id: str | int) -> None:
    """What was read may be sent back as it is, changed."""
    rig.script.answer("UpdateGoods", goods_pb2.UpdateGoodsResponse())
    response = await rig.call("PUT", f"{GOODS}/24", "admin", json={"goods_id": goods_id})
    assert 200 == response.status_code
    assert 24 == rig.script.requests[0][1].goods_id


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+json", "text/plain"])
async def test_body_is_json_whatever_it_calls_itself(rig: Rig, kind: str) -> None:
    """What fits is understood, and what does not is refused as always."""
    rig.script.answer("Draw", draw_pb2.DrawResponse(result=draw_pb2.DrawResult()))
    headers = {"content-type": kind, "authorization": f"Bearer {rig.script.token()}"}
    answer = await rig.http.post(DRAW, headers=headers, content=b'{"request_id": "a"}')
    assert (200, 1) == (answer.status_code, answer.json()["status"])
    assert "a" == rig.script.requests[0][1].request_id
    refused = await rig.http.post(DRAW, headers=headers, content=b"{")
    assert (400, "INVALID_ARGUMENT") == _refusal(refused)


@pytest.mark.parametrize(("query", "field"), [("page=abc", "page"), ("nothing=1", "nothing")])
async def test_query_is_refused_when_it_does_not_fit(rig: Rig, query: str, field: str) -> None:
    """Wrong types and unknown names are 400 and name the parameter."""
    response = await rig.call("GET", f"{WINNERS}?{query}")
    assert (400, "INVALID_ARGUMENT") == _refusal(response)
    assert {"field": field} == response.json()["metadata"]


async def test_path_is_refused_when_it_hides_a_slash(rig: Rig) -> None:
    """An escaped slash cannot lead around the role check."""
    response = await rig.call("GET", "/x%2f..%2fadmin/api/statistics", "user")
    assert (400, "INVALID_ARGUMENT") == _refusal(response)


@pytest.mark.parametrize("path", ["/x/../admin/api/statistics", "//admin//api/statistics"])
async def test_path_is_judged_as_normalised(rig: Rig, path: str) -> None:
    """Detours in the path end at the same role check."""
    target = httpx.Request("GET", rig.edge.url).url.copy_with(raw_path=path.encode())
    headers = {"authorization": f"Bearer {rig.script.token()}"}
    assert (403, "PERMISSION_DENIED") == _refusal(await rig.http.get(target, headers=headers))


async def _post_in_turn(port: int, path: str, count: int) -> list[bytes]:
    """The answers to *count* POSTs in turn from 127.0.0.2, which no other test uses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    answers = []
    for _ in range(count):
        writer.write(f"POST {path} HTTP/1.1\r\nhost: kuji\r\ncontent-length: 0\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"content-length: (\d+)", head)
        answers.append(head[9:12] + await reader.readexactly(int(length)))
    writer.close()
    return answers


async def test_logins_are_limited_by_address(rig: Rig) -> None:
    """A flood of logins from one address is stopped; another address does not notice."""
    path = "/admin/api/login?a=1"
    flood = [_post_in_turn(rig.edge.port, path, 90) for _ in range(40)]
    answers = [answer for turn in await asyncio.gather(*flood) for answer in turn]
    refused = [answer for answer in answers if answer.startswith(b"429")]
    assert {b"400", b"429"} == {answer[:3] for answer in answers}
    assert 3000 <= len(answers) - len(refused)
    body = json.loads(refused[0][3:])
    assert (0, "RATE_LIMITED", {"retry_after_ms": "1000"}) == (
        body["status"],
        body["reason"],
        body["metadata"],
    )
    assert (400, "INVALID_ARGUMENT") == _refusal(await rig.call("POST", path))


async def test_other_answers_are_never_kept(rig: Rig) -> None:
    """No cache on the way keeps tokens or draws."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    assert "no-store" == (await rig.call("POST", DRAW, "user")).headers["cache-control"]


async def test_large_answer_is_compressed_when_asked_for(rig: Rig) -> None:
    """A page of winners travels compressed."""
    rig.script.answer("ListWinners", _wins(*[f"1-{n}" for n in range(100)]))
    headers = {"accept-encoding": "gzip"}
    async with rig.http.stream("GET", f"{WINNERS}?page=14", headers=headers) as response:
        raw = b"".join([piece async for piece in response.aiter_raw()])
    assert "gzip" == response.headers["content-encoding"]
    assert len(gzip.decompress(raw)) > 3 * len(raw)


async def test_browser_of_another_origin_may_call(rig: Rig) -> None:
    """A page from elsewhere may call with a token; refusals carry the permission too."""
    origin = {"origin": "https://shop.example"}
    asked = {"access-control-request-method": "POST"}
    preflight = await rig.http.options(DRAW, headers=origin | asked)
    refused = await rig.http.post(DRAW, headers=origin)
    assert (200, 401) == (preflight.status_code, refused.status_code)
    allowed = [r.headers["access-control-allow-origin"] for r in (preflight, refused)]
    assert [origin["origin"]] * 2 == allowed


async def test_metadata_of_the_way_stays_inside(rig: Rig) -> None:
    """Headers of the inner listener and of gRPC do not leave."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    headers = (await rig.call("POST", DRAW, "user")).headers
    assert [] == [name for name in headers if name.startswith(("grpc-", "x-kuji", "x-envoy"))]


async def test_caller_cannot_set_the_deadline(rig: Rig) -> None:
    """The edge alone says how long a service has."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    headers = {
        "authorization": f"Bearer {rig.script.token()}",
        "grpc-timeout": "1n",
        "x-envoy-upstream-rq-timeout-ms": "1",
    }
    response = await rig.http.post(DRAW, headers=headers, json={})
    _, _, ctx = rig.script.requests[-1]
    assert (200, True) == (response.status_code, 10 < ctx.remaining_s <= 14)

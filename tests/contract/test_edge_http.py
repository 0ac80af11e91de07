"""Whatever comes over the wire gets an answer in the envelope, with a reason that is true."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from google.api import httpbody_pb2
from google.protobuf import message_factory
from kuji.blindbox.v1 import records_pb2
from kuji.common.v1.error_reason_pb2 import ErrorReason
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from services.common.contract import events_of, facts_of
from tests.contract.edge_rig import Rig, running_rig
from tests.contract.test_edge_access import ROUTES, Route

ORIGIN = "https://shop.example"
SHOP = f"origin: {ORIGIN}\r\n"
PRIZES = "/api/lottery/prizes"
DRAW = "/api/lottery/draw"
READS = [route for route in ROUTES if route.verb == "GET"]


@dataclass(frozen=True)
class Answer:
    """What came back: an HTTP code, headers, and what is left of the connection."""

    code: int
    headers: dict[str, str]
    body: bytes
    is_open: bool

    @property
    def reason(self) -> str:
        """The reason in the envelope."""
        envelope = json.loads(self.body.decode())
        assert (0, None, True) == (envelope["status"], envelope["data"], bool(envelope["msg"]))
        assert envelope.keys() <= {"status", "msg", "reason", "data", "metadata"}
        assert "application/json" == self.headers["content-type"]
        return str(envelope["reason"])


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if head.startswith("http/1.1 100 "):
        return await _read_answer(reader)
    code, _, lines = head.partition("\r\n")
    headers = dict(line.split(": ", 1) for line in lines.splitlines() if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(code.split()[1]), headers, body, "close" != headers.get("connection"))


async def send(rig: Rig, head: str, body: bytes = b"", within_s: float = 10) -> Answer:
    """The answer to a request of these very bytes; its end is waited for nowhere."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.edge.port)
    try:
        async with asyncio.timeout(within_s):
            writer.write(head.encode("latin-1") + b"\r\n" + body)
            return await _read_answer(reader)
    finally:
        writer.close()


def _get(path: str, more: str = "", verb: str = "GET") -> str:
    return f"{verb} {path} HTTP/1.1\r\nhost: kuji\r\n{SHOP}{more}"


def _post(path: str, more: str = "content-length: 0\r\n") -> str:
    return _get(path, more, "POST")


GRPC = "content-type: application/grpc\r\n"
# name → (what is sent, its HTTP code, its reason). Refused before the filters, and by each of them.
REFUSALS: dict[str, tuple[str, int, str]] = {
    "no HTTP": ("garbage\r\n", 400, "INVALID_ARGUMENT"),
    "unknown method": (_get(PRIZES, verb="FETCH"), 400, "INVALID_ARGUMENT"),
    "no host": (f"GET {PRIZES} HTTP/1.1\r\n", 400, "INVALID_ARGUMENT"),
    "bytes in the path": (_get("/\xff"), 400, "INVALID_ARGUMENT"),
    "bytes in a header's name": (_get(PRIZES, "x\xff: 1\r\n"), 400, "INVALID_ARGUMENT"),
    "NUL in a header": (_get(PRIZES, "x: \x00\r\n"), 400, "INVALID_ARGUMENT"),
    "hidden slash": (_get("/api%2flottery/prizes"), 400, "INVALID_ARGUMENT"),
    "hidden slash of gRPC": (_get("/a%2fb", GRPC), 400, "INVALID_ARGUMENT"),
    "no port to tunnel to": (_get("/x", verb="CONNECT"), 400, "INVALID_ARGUMENT"),
    "two lengths": (
        _post(DRAW, "content-length: 2\r\ntransfer-encoding: chunked\r\n"),
        400,
        "INVALID_ARGUMENT",
    ),
    "tunnel": (_get("kuji:443", verb="CONNECT"), 405, "METHOD_NOT_ALLOWED"),
    "trace": (_get(PRIZES, verb="TRACE"), 405, "METHOD_NOT_ALLOWED"),
    "options": (_get(PRIZES, verb="OPTIONS"), 405, "METHOD_NOT_ALLOWED"),
    "other method": (_post(PRIZES), 405, "METHOD_NOT_ALLOWED"),
    "other method of gRPC": (_post(PRIZES, GRPC), 405, "METHOD_NOT_ALLOWED"),
    "large headers": (_get(PRIZES, f"x: {'a' * 62_000}\r\n"), 431, "HEADERS_TOO_LARGE"),
    "many headers": (_get(PRIZES, "x: a\r\n" * 101), 431, "HEADERS_TOO_LARGE"),
    "unknown coding": (
        _post(DRAW, "transfer-encoding: gzip, chunked\r\n"),
        501,
        "NOT_IMPLEMENTED",
    ),
    "unknown route": (_get("/nothing"), 404, "NOT_FOUND"),
    "unknown route of gRPC": (_get("/nothing", GRPC), 404, "NOT_FOUND"),
    "a route and more": (_get(f"{PRIZES}/"), 404, "NOT_FOUND"),
    "no token": (_post(DRAW), 401, "UNAUTHENTICATED"),
    "no token of gRPC": (_post(DRAW, GRPC), 401, "UNAUTHENTICATED"),
    "query": (_post("/api/auth/login?a=1"), 400, "INVALID_ARGUMENT"),
    "query of gRPC": (_post("/api/auth/login?a=1", GRPC), 400, "INVALID_ARGUMENT"),
    "bytes in a value": (_get("/api/lottery/odds?activity_id=%ff"), 400, "INVALID_ARGUMENT"),
    "bytes in a name": (_get("/api/lottery/odds?%ff=1"), 400, "INVALID_ARGUMENT"),
    "bytes in a variable": (
        _get("/api/lottery/result/%ff/verification"),
        400,
        "INVALID_ARGUMENT",
    ),
    "no number": (_get("/api/lottery/odds?activity_id=x"), 400, "INVALID_ARGUMENT"),
    "no number of gRPC": (
        _get("/api/lottery/odds?activity_id=x", GRPC),
        400,
        "INVALID_ARGUMENT",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refusal_is_in_the_envelope_with_its_own_reason(rig: Rig, name: str) -> None:
    """The code is the reason's, a browser of another origin may read it, nobody was asked."""
    head, code, reason = REFUSALS[name]
    answer = await send(rig, head)
    assert (code, reason) == (answer.code, answer.reason)
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
    assert code == facts_of(ErrorReason.Value(f"ERROR_REASON_{reason}")).http
    assert [] == [name for name, _, _ in rig.script.requests if name != "GetJwks"]


async def test_refusal_leaves_the_connection_to_others(rig: Rig) -> None:
    """What is refused with its whole request costs no new connection."""
    heads = [_post("/api/auth/login?a=1", "content-length: 2\r\n"), _post("/x"), _get("/x?y")]
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.edge.port)
    for head in heads * 2:
        body = b"{}" if "length: 2" in head else b""
        writer.write(head.encode() + b"\r\n" + body)
        assert (await _read_answer(reader)).is_open
    writer.close()


async def test_wrong_role_and_large_body_are_refused_for_other_origins_too(rig: Rig) -> None:
    """403 and 413 can be read by a page from elsewhere."""
    token = f"authorization: Bearer {rig.script.token()}\r\n"
    answers = [
        await send(rig, _get("/admin/api/statistics", token)),
        await send(rig, _post("/x", "content-length: 65537\r\n"), b"x" * 65537),
        await send(rig, _post(DRAW, f"{token}content-length: 65537\r\n"), b"x" * 65537),
        await send(rig, _post(DRAW, f"{token}{GRPC}content-length: 65537\r\n"), b"x" * 65537),
    ]
    assert [(403, "PERMISSION_DENIED"), *[(413, "PAYLOAD_TOO_LARGE")] * 3] == [
        (answer.code, answer.reason) for answer in answers
    ]
    assert {ORIGIN} == {a.headers["access-control-allow-origin"] for a in answers}


async def test_request_without_an_end_is_refused_in_time(rig: Rig) -> None:
    """Headers that never end are given up, with a reason."""
    answer = await send(rig, "GET /x HTTP/1.1\r\nhost: kuji", within_s=20)
    assert (408, "REQUEST_TIMEOUT") == (answer.code, answer.reason)


async def test_grpc_call_of_a_stub_is_refused_in_the_words_of_grpc(rig: Rig) -> None:
    """Who dials the edge with a stub learns that there is no such method."""
    answer = await send(rig, _post("/kuji.draw.v1.DrawService/Draw", GRPC))
    assert (200, "12") == (answer.code, answer.headers["grpc-status"])


@pytest.mark.parametrize(
    "more",
    [
        "connection: upgrade\r\nupgrade: TLS/1.2\r\n",
        "connection: upgrade\r\nupgrade: websocket\r\n",
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
        "x-bin: ***\r\n",
        "x!y: 1\r\n",
        "grpc-encoding: bogus\r\n",
        "grpc-timeout: 1n\r\n",
        "grpc-status: 5\r\n",
        "te: gzip\r\n",
        "user-agent: \xe9\r\n",
        "last-event-id: \xff\r\n",
        "last-event-id: 1\r\nlast-event-id: \xff\r\n",
        "if-match: 1\r\nif-match: \xff\r\n",
        "user-agent: one\r\nuser-agent: \xe9\r\n",
        "x-forwarded-for: \xff\r\n",
        f"traceparent: {'a' * 20_000}\r\n",
        f"cookie: {'a' * 20_000}\r\n",
        f"user-agent: {'a' * 20_000}\r\n",
        "x-envoy-original-path: /x\r\n",
        "x-envoy-upstream-rq-timeout-ms: 0\r\n",
        "x-http-method-override: DELETE\r\n",
        "expect: 100-continue\r\n",
    ],
)
async def test_header_that_means_nothing_here_changes_nothing(rig: Rig, more: str) -> None:
    """Only known headers go inward, in a form that a gRPC server reads."""
    rig.script.answer("ListPrizes", history_pb2.ListPrizesResponse())
    answer = await send(rig, _get(PRIZES, more))
    assert (200, 1) == (answer.code, json.loads(answer.body)["status"])


async def test_large_token_on_a_public_route_is_no_token(rig: Rig) -> None:
    """A call that needs none is not refused for a header that it does not need."""
    rig.script.answer("ListPrizes", history_pb2.ListPrizesResponse())
    answer = await send(rig, _get(PRIZES, f"authorization: Bearer {'a' * 20_000}\r\n"))
    assert 200 == answer.code


@pytest.mark.parametrize("path", [PRIZES, "/healthz"])
async def test_old_http_gets_an_answer(rig: Rig, path: str) -> None:
    """HTTP/1.0 has no Host, and closes after the answer."""
    rig.script.answer("ListPrizes", history_pb2.ListPrizesResponse())
    answer = await send(rig, f"GET {path} HTTP/1.0\r\n")
    assert (200, False) == (answer.code, answer.is_open)


def _let_answer(rig: Rig, route: Route) -> None:
    answer = message_factory.GetMessageClass(route.rpc.output_type)()
    if isinstance(answer, httpbody_pb2.HttpBody):
        kind = "text/event-stream" if events_of(route.rpc) else "text/csv"
        answer = httpbody_pb2.HttpBody(content_type=kind, data=b"a,b\n")
    rig.script.answer(route.rpc.name, [answer] if route.rpc.server_streaming else answer)


async def _heads(rig: Rig, token: str, *paths: str) -> list[dict[str, str]]:
    """What HEAD of each of *paths* gets, one after the other on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.edge.port)
    found = []
    async with asyncio.timeout(10):
        for path in paths:
            writer.write((_get(path, token, "HEAD") + "\r\n").encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert head.startswith("http/1.1 ")  # no body of the one before
            found.append({"code": head.split()[1], **dict(re.findall(r"([\w-]+): (.*)\r\n", head))})
    writer.close()
    return found


@pytest.mark.parametrize("route", READS, ids=str)
async def test_head_is_like_get_without_a_body(rig: Rig, route: Route) -> None:
    """Same code, type and length, no body: the next answer follows at once."""
    _let_answer(rig, route)
    token = f"authorization: Bearer {rig.script.token('admin')}\r\n"
    got = await rig.call("GET", route.path, "admin")
    found, refused, healthy = await _heads(rig, token, route.path, f"{route.path}?a=1", "/healthz")
    assert ("200", "400", "200") == (found["code"], refused["code"], healthy["code"])
    assert got.headers["content-type"] == found["content-type"]
    if "content-length" in got.headers:
        assert got.headers["content-length"] == found["content-length"]


async def test_method_not_allowed_says_which_are(rig: Rig) -> None:
    """The header allow names the methods of the path."""
    answers = {path: await rig.call("PATCH", path) for path in (PRIZES, DRAW, "/admin/api/prizes")}
    assert ["GET, HEAD", "POST", "GET, HEAD, POST"] == [
        a.headers["allow"] for a in answers.values()
    ]


@pytest.mark.parametrize(
    ("origins", "asked", "allowed"),
    [
        ((ORIGIN,), ORIGIN, ORIGIN),
        ((ORIGIN,), "https://evil.example", None),
        ((ORIGIN, "http://a:1"), "http://a:1", "http://a:1"),
        ((), ORIGIN, None),
    ],
)
async def test_only_pages_of_configured_origins_may_call(
    tmp_path: Path, origins: tuple[str, ...], asked: str, allowed: str | None
) -> None:
    """Others get no permission: not on a success, nor a refusal, nor a preflight."""
    async with running_rig(tmp_path, origins=origins) as rig:
        rig.script.answer("ListPrizes", history_pb2.ListPrizesResponse())
        headers = {"origin": asked}
        preflight = headers | {"access-control-request-method": "POST"}
        answers = [
            await rig.http.get(PRIZES, headers=headers),
            await rig.http.get("/nothing", headers=headers),
            await rig.http.post(DRAW, headers=headers),
            await rig.http.options(DRAW, headers=preflight),
        ]
    assert [200, 404, 401, 200 if allowed else 405] == [a.status_code for a in answers]
    found = [answer.headers.get("access-control-allow-origin") for answer in answers]
    assert [allowed] * 4 == [origin if origin == asked else None for origin in found]


async def test_plus_in_a_query_is_a_blank(rig: Rig) -> None:
    """As forms and URLSearchParams write it."""
    rig.script.answer("ListOrderPrizes", records_pb2.ListOrderPrizesResponse())
    for sent in ("A+1001", "A%201001", "A%2B1001"):
        await rig.call("GET", f"/api/blindbox/prize_order_log?order_num={sent}", "user")
    asked = [call.order_num for name, call, _ in rig.script.requests if name == "ListOrderPrizes"]
    assert ["A 1001", "A 1001", "A+1001"] == asked


async def test_answer_that_a_service_cut_off_is_unavailable(rig: Rig) -> None:
    """A bare CANCELLED of the transport is an outcome that is not known, not a defect."""

    async def cut(request: draw_pb2.DrawRequest, ctx: object) -> draw_pb2.DrawResponse:
        raise asyncio.CancelledError

    rig.script.behave("Draw", cut)
    response: httpx.Response = await rig.call("POST", DRAW, "user")
    assert (503, "UNAVAILABLE") == (response.status_code, response.json()["reason"])

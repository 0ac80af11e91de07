"""Blind boxes at the edge when they fail: HTTP 200 for business, the code for all else."""

import re

import pytest
from kuji.blindbox.v1 import records_pb2

from services.common import errors
from services.common.errors import KujiError
from tests.contract.edge_rig import Rig
from tests.contract.test_edge_access import Route
from tests.contract.test_edge_blindbox import BLIND_BOX, CARD_DRAW, DAILY
from tests.contract.test_edge_envelope import ERRORS, HTTP_CODES, example_of

KEEPS_CODE = {
    errors.UnauthenticatedError,
    errors.PermissionDeniedError,
    errors.InternalError,
    errors.UnavailableError,
    errors.OverloadedError,
    errors.PoolNotLoadedError,
    errors.RateLimitedError,
}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
async def test_failure_is_http_200_when_it_is_business(rig: Rig, kind: type[KujiError]) -> None:
    """The old clients read `status`; what is no business of theirs keeps its code."""
    error = example_of(kind)
    rig.script.answer("DrawWithItemCard", error)
    response = await rig.call("POST", CARD_DRAW, "user", json={})
    code = HTTP_CODES[error.reason_name] if kind in KEEPS_CODE else 200
    expected = {"status": 0, "msg": error.message, "reason": error.reason_name, "data": None}
    metadata = {"metadata": error.metadata} if error.metadata else {}
    assert (code, expected | metadata) == (response.status_code, response.json())


@pytest.mark.parametrize("route", BLIND_BOX.values(), ids=str)
async def test_failure_is_http_200_on_each_route(rig: Rig, route: Route) -> None:
    """There is no blind-box route where a business failure is anything else."""
    rig.script.answer(route.rpc.name, errors.GoodsNotFoundError())
    response = await rig.call(route.verb, route.path, "admin")
    body = response.json()
    assert (200, 0, None) == (response.status_code, body["status"], body["data"])
    assert ("GOODS_NOT_FOUND", {"field": "goods_id"}) == (body["reason"], body["metadata"])


async def test_failure_of_an_administrator_keeps_its_code(rig: Rig) -> None:
    """The administration of blind boxes is new, and speaks as the rest does."""
    rig.script.answer("UpdateGoods", errors.GoodsNotFoundError())
    response = await rig.call("PUT", "/admin/api/goods/5", "admin", json={})
    assert (404, "GOODS_NOT_FOUND") == (response.status_code, response.json()["reason"])


async def test_unexpected_error_leaves_without_detail(rig: Rig) -> None:
    """A defect is a 500 with a trace id, to old clients too."""
    rig.script.answer("DrawWithItemCard", ValueError("secret detail"))
    response = await rig.call("POST", CARD_DRAW, "user", json={})
    assert (500, "INTERNAL") == (response.status_code, response.json()["reason"])
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("verb", "path", "role", "body", "expected"),
    [
        ("POST", CARD_DRAW, "user", "{bad", (400, "INVALID_ARGUMENT")),
        ("POST", CARD_DRAW, None, "{}", (401, "UNAUTHENTICATED")),
        ("POST", "/api/blindbox/orders", "user", "{}", (403, "PERMISSION_DENIED")),
        ("GET", "/api/blindbox/nothing", None, "", (404, "NOT_FOUND")),
        ("GET", "/api/blindbox/draws/1-1/validation/more", None, "", (404, "NOT_FOUND")),
        ("GET", CARD_DRAW, "user", "", (405, "METHOD_NOT_ALLOWED")),
        ("POST", CARD_DRAW, "user", " " * 65_537, (413, "PAYLOAD_TOO_LARGE")),
    ],
)
async def test_refusal_of_the_edge_keeps_its_code(
    rig: Rig, verb: str, path: str, role: str | None, body: str, expected: tuple[int, str]
) -> None:
    """A request that no service sees is no business failure."""
    response = await rig.call(verb, path, role, content=body)
    assert expected == (response.status_code, response.json()["reason"])


@pytest.mark.parametrize(
    "query",
    [
        "probabilities?goods_id=abc",
        "probabilities?goods_id=",
        "probabilities?goods_id=99999999999999999999",
        "probabilities?goods_id=1&num=1.5",
        "infinite_shang_log?goods_id=1&page=x",
        "infinite_shang_log?goods_id=1&page_size=9999999999",
        "infinite_shang_log?goods_id=1&shang_id=A",
        "daily_prize_records?goods_id=0x5",
        "prize_order_log?order_num=1&user_id=me",
    ],
)
async def test_query_is_refused_when_a_type_is_wrong(rig: Rig, query: str) -> None:
    """The last parameter of each is no number: 400, and its name."""
    response = await rig.call("GET", f"/api/blindbox/{query}", "user")
    field = re.split("[?&]", query)[-1].partition("=")[0]
    expected = (400, "INVALID_ARGUMENT", {"field": field})
    body = response.json()
    assert expected == (response.status_code, body["reason"], body["metadata"])


@pytest.mark.parametrize(("length", "character"), [(34_000_000, "x"), (17_000_000, '"')])
async def test_answer_beyond_all_bounds_is_an_error_in_the_envelope(
    rig: Rig, length: int, character: str
) -> None:
    """More than the edge holds, as a message or as JSON, is INTERNAL, not half an answer."""
    record = records_pb2.WinningRecord(goodslist_title=character * length)
    rig.script.answer("ListDailyRecords", records_pb2.ListDailyRecordsResponse(records=[record]))
    response = await rig.call("GET", DAILY)
    assert (500, "INTERNAL", None) == (
        response.status_code,
        response.json()["reason"],
        response.json()["data"],
    )

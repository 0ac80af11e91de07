"""What a JSON body may hold: plain JSON, known names, each once, null where it says something."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kuji.admin.v1 import admin_pb2, goods_pb2
from kuji.draw.v1 import draw_pb2

from services.common.contract import bounds_of
from tests.contract.edge_rig import Rig, running_rig
from tests.contract.test_edge_access import ROUTES, Route

DRAW = "/api/lottery/draw"
ACTIVITY = "/admin/api/activities/7"
GOODS = "/admin/api/goods/24"
WITH_BODY = [route for route in ROUTES if route.verb in ("POST", "PUT")]
WITHOUT_BODY = [route for route in ROUTES if route.verb in ("GET", "DELETE")]
UPDATES = [route for route in WITH_BODY if "cleared_fields" in route.rpc.input_type.fields_by_name]

# Draw takes messages within messages in the edge of test_names_within_messages alone.
NESTED = """
return { ["kuji.draw.v1.DrawService.Draw"] = { in_path = {}, unwrap = "result",
  body = { request_id = true, a = { b = { { c = true, d = { true } } } },
    any = require("json").ANY } } }
"""


def _asked(rig: Rig) -> list[Any]:
    return [request for name, request, _ in rig.script.requests if name != "GetJwks"]


async def _refused_field(rig: Rig, verb: str, path: str, body: str | bytes) -> str:
    """The field that the refusal of *body* names; no service heard of the call."""
    response = await rig.call(verb, path, "admin", content=body)
    refusal = response.json()
    assert (400, 0, "INVALID_ARGUMENT") == (
        response.status_code,
        refusal["status"],
        refusal["reason"],
    ), (body, response.text)
    assert [] == _asked(rig)
    return str(refusal["metadata"]["field"])


async def _taken(rig: Rig, verb: str, path: str, body: str) -> Any:
    """The request that reached the service with *body*."""
    response = await rig.call(verb, path, "admin", content=body)
    assert 200 == response.status_code, (body, response.text)
    (request,) = _asked(rig)
    rig.script.requests.clear()
    return request


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
async def test_body_is_refused_when_a_name_is_unknown(rig: Rig, route: Route) -> None:
    """A misspelt limit is no activity without a limit; on every route."""
    for name in ("nothing", "Name", "", "name ", "cleared_fields", "@type", "ä", 'a"b'):
        body = json.dumps({name: 1}, ensure_ascii=False)
        assert name == await _refused_field(rig, route.verb, route.path, body)


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
async def test_body_is_refused_when_a_name_is_written_otherwise(rig: Rig, route: Route) -> None:
    """There is one name for a field: its own."""
    for field in route.rpc.input_type.fields:
        if field.json_name != field.name:
            body = json.dumps({field.json_name: 1})
            assert field.json_name == await _refused_field(rig, route.verb, route.path, body)


@pytest.mark.parametrize("route", WITH_BODY, ids=str)
async def test_body_is_refused_when_a_name_comes_twice(rig: Rig, route: Route) -> None:
    """Of two values neither is taken, however the name is escaped, or where the path has it too."""
    for field in route.rpc.input_type.fields:
        if field.name != "cleared_fields":
            escaped = f"\\u{ord(field.name[0]):04x}{field.name[1:]}"
            for second in (field.name, escaped):
                body = f'{{"{field.name}": null, "{second}": null}}'
                assert field.name == await _refused_field(rig, route.verb, route.path, body)


async def test_path_is_not_overruled_by_a_name_that_comes_twice(rig: Rig) -> None:
    """The path's goods are changed, or none: whatever the body says first or last."""
    rig.script.answer("UpdateGoods", goods_pb2.UpdateGoodsResponse())
    for body in ('{"goods_id":24,"goods_id":1}', '{"goods_id":1,"goods_id":24}', '{"goodsId":1}'):
        await _refused_field(rig, "PUT", GOODS, body)
    assert 24 == (await _taken(rig, "PUT", GOODS, '{"goods_id":"24"}')).goods_id


@pytest.mark.parametrize("route", WITHOUT_BODY, ids=str)
async def test_body_is_refused_when_the_route_takes_none(rig: Rig, route: Route) -> None:
    """A read and a deletion say all in their path and query."""
    for body in ("{}", '{"prize_id":8}', "x"):
        assert "body" == await _refused_field(rig, route.verb, route.path, body)


async def test_names_within_messages_are_judged_like_the_others(tmp_path: Path) -> None:
    """Unknown and repeated names are found at any depth, and named with their way."""
    async with running_rig(tmp_path, methods_lua=NESTED) as rig:
        cases = {
            '{"a":{"x":1}}': "a.x",
            '{"a":{"b":[{"c":1},{"c":1,"e":2}]}}': "a.b[1].e",
            '{"a":{"b":[{"c":1,"c":2}]}}': "a.b[0].c",
            '{"a":{"b":[{"c":{}}]}}': "a.b[0].c",
            '{"a":{"b":[{"d":[1,[2]]}]}}': "a.b[0].d[1]",
            '{"a":[]}': "a",
            '{"any":{"x":[{"y":1,"y":2}]}}': "any.x[0].y",
            '{"a":{"b":[{"c":1},]}}': "body",
        }
        for body, field in cases.items():
            assert field == await _refused_field(rig, "POST", DRAW, body)
        rig.script.answer("Draw", draw_pb2.DrawResponse())
        good = '{"a":{"b":[{"c":1,"d":[1,2]},{}]},"any":{"x":[{"y":null}]},"request_id":"r"}'
        assert "r" == (await _taken(rig, "POST", DRAW, good)).request_id


MALFORMED = [
    "{bad", "[1]", "1", '""', "null", "{", "}", "{}}", "{} {}", "{,}", " ", "{/**/}", "\v{}",
    "\ufeff{}", '{"request_id"}', '{"request_id":}', '{"request_id":"a",}', "{'request_id':'a'}",
    "{request_id:1}",
    '{"request_id":"a"', '{"request_id":"a', '{"request_id":"a"}x', '{"request_id":"a\n"}',
    r'{"request_id":"\x"}', r'{"request_id":"\u12"}', r'{"request_id":"\ud800"}',
    r'{"request_id":"\ud800\u0041"}', r'{"request_id":"\udc00"}',
    '{"activity_id":01}', '{"activity_id":+1}', '{"activity_id":1.}', '{"activity_id":.5}',
    '{"activity_id":1e}', '{"activity_id":0x1}', '{"activity_id":NaN}', '{"activity_id":-}',
    '{"request_id":tru}', '{"request_id":nul}', '{"request_id":True}',
]  # fmt: skip
NO_UTF8 = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe4\xbd", b"\x80"]


async def test_body_is_refused_when_it_is_no_plain_json(rig: Rig) -> None:
    """What two readers of JSON could read in two ways is read in none."""
    for body in MALFORMED:
        assert "body" == await _refused_field(rig, "POST", DRAW, body)
    for raw in NO_UTF8:
        sent = b'{"request_id":"' + raw + b'"}'
        assert "body" == await _refused_field(rig, "POST", DRAW, sent)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
)  # fmt: skip
edits = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([*'{}[]":,\\0-.e \n\x00ä', "\\ud83d", "null"])),
    max_size=3,
)


def _edited(text: str, places: list[tuple[int, str]]) -> str:
    for at, what in places:
        text = text[: at % (len(text) + 1)] + what + text[at % (len(text) + 1) :]
    return text


def _plain(text: str) -> Any:
    """What Python reads in *text*, an object whose names differ; None where it is none."""

    def differing(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError(text)
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        found = json.loads(text, object_pairs_hook=differing, parse_constant=refuse)
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(reason=scalars, user=scalars, places=edits)
async def test_body_is_read_as_others_read_json(
    rig: Rig, reason: Any, user: Any, places: list[tuple[int, str]]
) -> None:
    """What Python takes for no plain JSON, or for other names, no service gets to see."""
    rig.script.forget()
    rig.script.answer("CreateBlock", admin_pb2.CreateBlockResponse())
    body = _edited(json.dumps({"reason": reason, "user_id": user}, ensure_ascii=False), places)
    response = await rig.call("POST", "/admin/api/blocks", "admin", content=body.encode())
    read = _plain(body)
    known = set(admin_pb2.CreateBlockRequest.DESCRIPTOR.fields_by_name)
    assert response.status_code in (200, 400), response.text
    if 200 == response.status_code:
        assert read is not None, body
        assert set(read) <= known, body
        assert (read.get("reason") or "") == _asked(rig)[0].reason
    elif isinstance(reason, str) and read == {"reason": reason, "user_id": user}:
        assert "user_id" == response.json()["metadata"]["field"], body


@pytest.mark.parametrize("route", UPDATES, ids=str)
async def test_null_of_an_update_empties_what_may_be_empty(rig: Rig, route: Route) -> None:
    """Each field that can be empty is named as cleared; none of the others can be null."""
    rig.script.answer(route.rpc.name, _empty_answer(route))
    message = route.rpc.input_type
    bounds = bounds_of(message.fields_by_name["cleared_fields"])
    assert bounds is not None
    for field in message.fields:
        if field.name == "cleared_fields":
            continue
        body = f' {{"{field.name}" : null}} \n'
        if field.name in bounds.one_of:
            request = await _taken(rig, route.verb, route.path, body)
            assert [field.name] == list(request.cleared_fields)
        else:
            assert field.name == await _refused_field(rig, route.verb, route.path, body)


def _empty_answer(route: Route) -> Any:
    kind = {
        "UpdateActivity": admin_pb2.UpdateActivityResponse,
        "UpdatePrize": admin_pb2.UpdatePrizeResponse,
        "UpdateGoods": goods_pb2.UpdateGoodsResponse,
        "UpdateGoodsItem": goods_pb2.UpdateGoodsItemResponse,
    }
    return kind[route.rpc.name]()


async def test_null_stands_beside_other_changes(rig: Rig) -> None:
    """What is given is changed, what is null is emptied, what is left out stays."""
    rig.script.answer("UpdateActivity", admin_pb2.UpdateActivityResponse())
    body = '{"end_time":null,"name":"x}","description":null}'
    request = await _taken(rig, "PUT", ACTIVITY, body)
    assert (7, "x}", ["end_time", "description"]) == (
        request.activity_id,
        request.name,
        list(request.cleared_fields),
    )
    assert not request.HasField("max_draws_per_day")


async def test_null_is_left_out_where_nothing_is_updated(rig: Rig) -> None:
    """A draw with "activity_id": null names no activity, a new block none that ends it."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    body = '{"activity_id":null,"request_id":"a"}'
    assert (0, "a") == ((r := await _taken(rig, "POST", DRAW, body)).activity_id, r.request_id)


def test_every_nullable_field_of_an_update_can_be_cleared() -> None:
    """What is null in an answer, and can be changed, can be made null."""

    def nullable(fields: dict[str, FieldDescriptor]) -> set[str]:
        return {name for name, field in fields.items() if name in ("end_time", "stock", "weight")}

    for route in UPDATES:
        message = route.rpc.input_type
        bounds = bounds_of(message.fields_by_name["cleared_fields"])
        assert bounds is not None
        assert nullable(dict(message.fields_by_name)) <= set(bounds.one_of)

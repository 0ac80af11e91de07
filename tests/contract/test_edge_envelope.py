"""The envelope around what services answer: its shape, unwrapping, nulls, and errors."""

import inspect
import json
import re
from typing import Any

import pytest
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from kuji.admin.v1 import simulations_pb2
from kuji.common.v1.error_reason_pb2 import ErrorReason
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from services.common import errors
from services.common.contract import facts_of, is_nullable
from services.common.errors import KujiError
from services.common.status import STATUS_OF_REASON
from stack.processes import ROOT
from tests.contract.edge_rig import Rig
from tests.contract.test_edge_access import ROUTES, Route

UNARY = [
    route
    for route in ROUTES
    if not route.rpc.server_streaming and route.rpc.output_type.name != "HttpBody"
]


INT64 = {FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64}
SCALARS: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_STRING: 'a "name":"5',
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_INT32: 6,
    FieldDescriptor.CPPTYPE_UINT32: 7,
    FieldDescriptor.CPPTYPE_INT64: 2**53 - 1,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
}


def _is_list(field: Any) -> bool:
    return bool(field.is_repeated)


def filled(message: Message, *, whole: bool) -> Message:
    """
    *message* with two elements in each list, and every field set.

    Not *whole*, the nullable fields are left out, and the scalars in it are zero.
    """
    for field in message.DESCRIPTOR.fields:
        if whole or not is_nullable(field):
            _fill(message, field, whole)
    return message


def _fill(message: Message, field: Any, whole: bool) -> None:
    if field.message_type is None:
        value = SCALARS[field.cpp_type] if whole else field.default_value
        if _is_list(field):
            getattr(message, field.name).extend([SCALARS[field.cpp_type]] * 2)
        elif whole or field.has_presence:
            setattr(message, field.name, value)
    elif _is_list(field):
        for _ in range(2):
            filled(getattr(message, field.name).add(), whole=whole)
    else:
        getattr(message, field.name).SetInParent()
        if not field.message_type.full_name.startswith("google."):
            filled(getattr(message, field.name), whole=whole)


def expected_of(message: Message) -> Any:
    """What the edge shows of *message*: its JSON, with null where the protos promise it."""
    if message.DESCRIPTOR.full_name.startswith("google."):
        return json_format.MessageToDict(message)
    shown: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if _is_list(field):
            shown[field.name] = [_shown(field, element) for element in value]
        elif not field.has_presence or message.HasField(field.name):
            shown[field.name] = _shown(field, value)
        elif is_nullable(field):
            shown[field.name] = None
    return shown


def _shown(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return expected_of(value)
    is_text = field.type in INT64 and field.file.package != "kuji.blindbox.v1"
    return str(value) if is_text else value


def _response_body(rpc: MethodDescriptor) -> str:
    return str(rpc.GetOptions().Extensions[annotations_pb2.http].response_body)


def data_of(rpc: MethodDescriptor, answer: Message) -> Any:
    """The `data` that the edge makes of *answer*."""
    body = _response_body(rpc)
    return expected_of(answer)[body] if body else expected_of(answer)


@pytest.mark.parametrize("whole", [False, True], ids=["nulls", "whole"])
@pytest.mark.parametrize("route", UNARY, ids=str)
async def test_data_is_the_response_body_of_the_proto(rig: Rig, route: Route, whole: bool) -> None:
    """Each answer is what its proto says: the named field unwrapped, absent fields null."""
    answer = filled(message_factory.GetMessageClass(route.rpc.output_type)(), whole=whole)
    rig.script.answer(route.rpc.name, answer)
    # A query of its own, so that no other test's answer is in the edge's cache.
    paged = "page" in route.rpc.input_type.fields_by_name
    path = f"{route.path}?page={20 + whole}" if paged else route.path
    response = await rig.call(route.verb, path, "admin")
    assert {"status": 1, "msg": "ok", "data": data_of(route.rpc, answer)} == response.json()


@pytest.mark.parametrize("route", UNARY, ids=str)
def test_response_body_is_the_only_field_of_its_message(route: Route) -> None:
    """The envelope takes it out without looking for it."""
    body = _response_body(route.rpc)
    assert body in ("", *[field.name for field in route.rpc.output_type.fields])
    assert not body or 1 == len(route.rpc.output_type.fields)


def test_nullable_fields_are_found_in_the_protos() -> None:
    """The tests around this one see the fields that the protos promise as null."""
    assert is_nullable(draw_pb2.DrawResult.DESCRIPTOR.fields_by_name["prize"])


async def test_data_keeps_texts_that_look_like_json(rig: Rig) -> None:
    """Quotes, braces and backslashes in a name do not confuse the envelope."""
    name = 'a "b" \\ }{][ ,:\n 赏 \\"'
    prize = draw_pb2.Prize(prize_id=1, name=name)
    result = draw_pb2.DrawResult(draw_id='"},{"', won=True, prize=prize)
    rig.script.answer("Draw", draw_pb2.DrawResponse(result=result))
    data = (await rig.call("POST", "/api/lottery/draw", "user", json={})).json()["data"]
    assert (name, '"},{"', None) == (data["prize"]["name"], data["draw_id"], data["next_draw_at"])


async def test_text_that_looks_like_a_field_hides_no_null(rig: Rig) -> None:
    """A prize may be named like a field of the draw; a field in it with such a name is no field."""
    names = ('"draws_left":7', '"next_draw_at":', '","draws_left":null,"', "draws_left\\")
    for name in names:
        prize = draw_pb2.Prize(prize_id=1, name=name)
        result = draw_pb2.DrawResult(draw_id=name, won=True, prize=prize)
        rig.script.answer("Draw", draw_pb2.DrawResponse(result=result))
        data = (await rig.call("POST", "/api/lottery/draw", "user", json={})).json()["data"]
        assert (name, name) == (data["prize"]["name"], data["draw_id"])
        assert (None, None) == (data["draws_left"], data["next_draw_at"])


async def test_answer_that_is_missing_is_null(rig: Rig) -> None:
    """A service that leaves its whole answer out has none; nothing is written into it."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    response = await rig.call("POST", "/api/lottery/draw", "user", json={})
    assert {"status": 1, "msg": "ok", "data": None} == response.json()


async def test_nulls_reach_every_element_of_a_list(rig: Rig) -> None:
    """An absent field is null in each element, and a present one is kept."""
    activities = [history_pb2.Activity(activity_id=n) for n in range(3)]
    activities[1].end_time.FromSeconds(60)
    rig.script.answer("ListActivities", history_pb2.ListActivitiesResponse(activities=activities))
    data = (await rig.call("GET", "/api/lottery/activities")).json()["data"]
    ends = [activity["end_time"] for activity in data["activities"]]
    assert [None, "1970-01-01T00:01:00Z", None] == ends


async def test_empty_list_stays_an_empty_list(rig: Rig) -> None:
    """No element, no trouble."""
    rig.script.answer("ListActivities", history_pb2.ListActivitiesResponse())
    response = await rig.call("GET", "/api/lottery/activities")
    assert {"activities": []} == response.json()["data"]


HTTP_CODES = {
    ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): facts_of(reason).http
    for reason in STATUS_OF_REASON
}


def test_errors_page_shows_every_reason_as_it_is() -> None:
    """docs/errors.md, the table of statuses and the protos say the same."""
    page = (ROOT / "docs" / "errors.md").read_text()
    rows = re.findall(r"(?m)^\| ([A-Z_]+) \| (\d+)[^|]* \| ([A-Z_]+) \|", page)
    reasons = {
        ErrorReason.Name(r).removeprefix("ERROR_REASON_"): s for r, s in STATUS_OF_REASON.items()
    }
    expected = {(name, HTTP_CODES[name], status.name) for name, status in reasons.items()}
    assert expected == {(name, int(code), status) for name, code, status in rows}


def example_of(kind: type[KujiError]) -> KujiError:
    parameters = inspect.signature(kind.__init__).parameters.values()
    values: dict[Any, Any] = {int: 5, str: 'say "no" {'}
    wanted = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    return kind(*[values[p.annotation] for p in wanted])


ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, KujiError)
    if kind is not KujiError
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
async def test_error_has_its_code_reason_and_metadata(rig: Rig, kind: type[KujiError]) -> None:
    """Every domain error reaches the browser as error_reason.proto says."""
    error = example_of(kind)
    rig.script.answer("Draw", error)
    response = await rig.call("POST", "/api/lottery/draw", "user", json={})
    expected = {
        "status": 0,
        "msg": error.message,
        "reason": error.reason_name,
        "data": None,
        **({"metadata": error.metadata} if error.metadata else {}),
    }
    assert (HTTP_CODES[error.reason_name], expected) == (response.status_code, response.json())


async def test_unexpected_error_leaves_without_detail(rig: Rig) -> None:
    """A defect shows a trace id and nothing of itself."""
    rig.script.answer("Draw", ValueError("secret detail"))
    response = await rig.call("POST", "/api/lottery/draw", "user", json={})
    assert (500, "INTERNAL") == (response.status_code, response.json()["reason"])
    assert "secret" not in response.text
    assert {"trace_id"} == response.json()["metadata"].keys()


async def test_stream_is_server_sent_events_without_an_envelope(rig: Rig) -> None:
    """Events pass as they are: what is in one, the service says."""
    events = [b"id: 1\ndata: {}\n\n", b":\n\n"]
    bodies: list[Message] = [
        httpbody_pb2.HttpBody(content_type="text/event-stream", data=event) for event in events
    ]
    rig.script.answer("StreamWinnerEvents", bodies)
    response = await rig.call("GET", "/api/lottery/global-history/stream")
    assert "text/event-stream" == response.headers["content-type"]
    assert b"".join(events) == response.content


async def test_stream_refused_at_once_is_in_the_envelope(rig: Rig) -> None:
    """A stream that does not begin says why, like every other call."""
    rig.script.answer("StreamWinnerEvents", errors.ActivityNotFoundError())
    response = await rig.call("GET", "/api/lottery/global-history/stream")
    assert (404, "ACTIVITY_NOT_FOUND") == (response.status_code, response.json()["reason"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UnavailableError(retry_after_ms=500), 200),
        (errors.RateLimitedError(retry_after_ms=10_000), 200),
        (ValueError("a defect"), 200),
        (errors.InvalidArgumentError("activity_id", "It does not fit."), 400),
        (errors.ActivityNotFoundError(), 404),
    ],
    ids=str,
)
async def test_event_source_is_refused_for_good_only_where_it_would_be_again(
    rig: Rig, error: Exception, code: int
) -> None:
    """What may pass is told by a stream that says when to come back, and no sooner than it may."""
    rig.script.answer("StreamWinnerEvents", error)
    path = "/api/lottery/global-history/stream"
    response = await rig.http.get(path, headers={"accept": "text/event-stream"})
    assert code == response.status_code
    if code != 200:
        assert 0 == response.json()["status"]
        return
    assert "text/event-stream" == response.headers["content-type"]
    found = re.fullmatch(r"retry: (\d+)\nevent: refused\ndata: (.*)\n\n", response.text)
    assert found is not None
    envelope = json.loads(found[2])
    hint = int(envelope.get("metadata", {}).get("retry_after_ms", 0))
    assert max(2000, hint) <= int(found[1]) <= max(2000, hint) + 2000
    assert (0, None) == (envelope["status"], envelope["data"])


async def test_csv_passes_as_it_is(rig: Rig) -> None:
    """An export is a stream of lines, not JSON."""
    lines = [b"draw_id,won\n", b"1-1,true\n1-2,false\n"]
    rig.script.answer(
        "StreamRecords",
        [httpbody_pb2.HttpBody(content_type="text/csv", data=line) for line in lines],
    )
    response = await rig.call("GET", "/admin/api/records.csv?activity_id=1", "admin")
    assert ("text/csv", b"".join(lines)) == (response.headers["content-type"], response.content)
    assert 'attachment; filename="records.csv"' == response.headers["content-disposition"]


async def test_csv_refused_at_once_is_in_the_envelope(rig: Rig) -> None:
    """An export that does not begin says why, like every other call."""
    rig.script.answer("StreamRecords", errors.ActivityNotFoundError())
    response = await rig.call("GET", "/admin/api/records.csv?activity_id=1", "admin")
    assert (404, "ACTIVITY_NOT_FOUND") == (response.status_code, response.json()["reason"])


async def test_simulation_is_a_stream_of_events(rig: Rig) -> None:
    """Each message is an event; what is refused before the first is in the envelope."""
    progress = simulations_pb2.SimulationProgress(runs_played=1, runs=2)
    rig.script.answer(
        "SimulateActivity",
        [
            simulations_pb2.SimulateActivityResponse(progress=progress),
            simulations_pb2.SimulateActivityResponse(
                result=simulations_pb2.SimulationResult(runs=2)
            ),
        ],
    )
    path, body = "/admin/api/activities/7/simulate", {"arrivals": [[1.5, 2], [3, 4]]}
    response = await rig.call("POST", path, "admin", json=body)
    assert (200, "text/event-stream") == (response.status_code, response.headers["content-type"])
    first, second = response.text.removesuffix("\n\n").split("\n\n")
    assert {"progress": {"runs_played": 1, "runs": 2}} == json.loads(first.removeprefix("data: "))
    assert 2 == json.loads(second.removeprefix("data: "))["result"]["runs"]
    rig.script.answer("SimulateActivity", errors.ActivityNotFoundError())
    response = await rig.call("POST", path, "admin", json=body)
    assert (404, "ACTIVITY_NOT_FOUND") == (response.status_code, response.json()["reason"])


async def test_keys_are_outside_the_envelope(rig: Rig) -> None:
    """The key set is what RFC 7517 says, for any verifier."""
    response = await rig.call("GET", "/.well-known/jwks.json")
    assert await rig.script.jwks() == response.json()

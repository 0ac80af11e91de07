"""What the edge answers is what envoy/openapi.json says."""

import pytest
from google.protobuf import message_factory

from services.common.errors import InvalidArgumentError, UnavailableError
from tests.contract.edge_rig import Rig
from tests.contract.test_edge_access import Route
from tests.contract.test_edge_envelope import UNARY, filled
from tests.support.openapi import problems_of


@pytest.mark.parametrize("whole", [False, True], ids=["nulls", "whole"])
@pytest.mark.parametrize("route", UNARY, ids=str)
async def test_answer_is_what_the_document_says(rig: Rig, route: Route, whole: bool) -> None:
    """Nothing is left out, null where it may not be, or a text where a number is promised."""
    answer = filled(message_factory.GetMessageClass(route.rpc.output_type)(), whole=whole)
    rig.script.answer(route.rpc.name, answer)
    paged = "page" in route.rpc.input_type.fields_by_name
    path = f"{route.path}?page={30 + whole}" if paged else route.path
    response = await rig.call(route.verb, path, "admin")
    assert 200 == response.status_code
    assert [] == problems_of(route.verb, route.path, 200, response.json())


@pytest.mark.parametrize("error", [InvalidArgumentError("name", "Too long."), UnavailableError()])
@pytest.mark.parametrize("route", UNARY[::5], ids=str)
async def test_failure_is_what_the_document_says(rig: Rig, route: Route, error: Exception) -> None:
    """By its HTTP code."""
    rig.script.answer(route.rpc.name, error)
    paged = "page" in route.rpc.input_type.fields_by_name
    path = f"{route.path}?page=40" if paged else route.path
    response = await rig.call(route.verb, path, "admin")
    assert [] == problems_of(route.verb, route.path, response.status_code, response.json())

"""envoy/openapi.json: valid, whole, and true."""

from collections.abc import Iterator
from typing import Any

import pytest
from kuji.common.v1.error_reason_pb2 import ErrorReason
from openapi_spec_validator import OpenAPIV31SpecValidator

from protos.services import Route, all_routes
from services.common.contract import (
    access_of,
    bounds_of,
    facts_of,
    is_for_old_clients,
    reasons_of,
)
from tests.support.openapi import DOCUMENT, resolved, validator

ROUTES = all_routes()
_OF_THE_EDGE = {"cleared_fields"}  # in JSON, null stands for it


def _said(route: Route) -> dict[str, Any]:
    return dict(DOCUMENT["paths"][route.path][route.verb])


def _reasons_said(route: Route) -> dict[str, set[str]]:
    """HTTP code → reasons."""
    return {
        code: set(_reasons_within(resolved(response)))
        for code, response in _said(route)["responses"].items()
    }


def _reasons_within(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _reasons_within(one)
    elif isinstance(node, dict):
        yield from node.get("properties", {}).get("reason", {}).get("enum", [])
        for key, value in node.items():
            if key not in ("example", "properties"):
                yield from _reasons_within(value)


def test_document_is_valid() -> None:
    """OpenAPI 3.1, by its own meta schema."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_document_has_every_route_and_no_other() -> None:
    """Those of the protos, and the two of the edge itself."""
    said = {(path, verb) for path, item in DOCUMENT["paths"].items() for verb in item}
    own = {("/healthz", "get"), ("/openapi.json", "get")}
    assert said == {(route.path, route.verb) for route in ROUTES} | own


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_route_says_why_it_fails(route: Route) -> None:
    """Each reason of its RPC under the HTTP code that carries it."""
    said = _reasons_said(route)
    for reason in reasons_of(route.rpc):
        facts = facts_of(reason)
        is_business = is_for_old_clients(route.rpc) and not facts.technical
        name = ErrorReason.Name(reason).removeprefix("ERROR_REASON_")
        assert name in said["200" if is_business else str(facts.http)]
    assert "RATE_LIMITED" in said["429"]
    assert route.has_body == ("413" in said)


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_route_says_what_it_takes(route: Route) -> None:
    """Each field once: in the path, the query or the body, with a bound where its proto has one."""
    operation = _said(route)
    parameters = operation.get("parameters", ())
    taken = {one["name"]: one["schema"] for one in parameters if one["in"] != "header"}
    if not route.has_body and route.verb != "get":
        # A write without a body says its etag in a header.
        headers = {one["name"]: one["schema"] for one in parameters if one["in"] == "header"}
        taken |= {"etag": headers["If-Match"]} if headers else {}
    if route.has_body:
        body = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
        assert body["additionalProperties"] is False
        taken |= body["properties"]
    assert set(taken) == {field.name for field in route.rpc.input_type.fields} - _OF_THE_EDGE
    for field in route.rpc.input_type.fields:
        bounds = bounds_of(field)
        if bounds is None or field.name in _OF_THE_EDGE:
            continue
        schema = taken[field.name]
        assert bounds.max_length == schema.get("maxLength", 0)
        assert bounds.pattern == schema.get("pattern", "") or not bounds.pattern
        assert (bounds.max if bounds.HasField("max") else None) == schema.get("maximum")


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_route_says_who_may_call_it(route: Route) -> None:
    """Nothing of what needs a token is shown as open, and the reverse."""
    assert bool(_said(route)["security"]) == (access_of(route.rpc) != 1)


def _examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    for route in ROUTES:
        operation = _said(route)
        bodies = [operation.get("requestBody", {}), *map(resolved, operation["responses"].values())]
        for body in bodies:
            for content in body.get("content", {}).values():
                if "example" in content:
                    yield str(route), content["schema"], content["example"]


def test_examples_are_what_their_schemas_say() -> None:
    """Requests, answers and failures."""
    examples = list(_examples())
    assert len(examples) > 2 * len(ROUTES)
    for route, schema, example in examples:
        assert [] == [error.message for error in validator(schema).iter_errors(example)], route

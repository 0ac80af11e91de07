"""The whole document."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from protos.comments import paragraphs
from protos.openapi.operations import failure_schema, operation
from protos.openapi.schemas import Schemas
from protos.services import all_routes, all_services

_ABOUT = """\
Kuji: lotteries and blind boxes whose draws anyone can check.

Every JSON answer is an envelope: `{"status": 1, "msg": "ok", "data": …}`, or for a failure
`{"status": 0, "msg": …, "reason": …, "data": null, "metadata": {…}}` with the fitting HTTP code.
The routes below /api/blindbox/ answer a business failure with HTTP 200.

Integers of 64 bits are texts in answers, and numbers below /api/blindbox/; requests take both.
Times are RFC 3339, UTC. Names that are not in a body's schema, and parameters that are not listed,
are INVALID_ARGUMENT. In updates, null empties a field that may be empty, and a field left out
stays. HEAD works wherever GET does."""


def text_of(comments: Mapping[str, str]) -> str:
    """The document as JSON."""
    return json.dumps(document(comments), indent=1, ensure_ascii=False) + "\n"


def document(comments: Mapping[str, str]) -> dict[str, Any]:
    """
    The document.

    Args:
        comments: Of the protos, by full name.
    """
    schemas = Schemas(comments)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in all_routes():
        paths[route.path][route.verb] = operation(route, schemas)
    schemas.components["Failure"] = failure_schema()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kuji", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": _tags(comments),
        "paths": dict(sorted(paths.items())) | _of_the_edge(),
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": dict(sorted(schemas.responses.items())),
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access_token of a login, of a role that is listed.",
                }
            },
        },
    }


def _tags(comments: Mapping[str, str]) -> list[dict[str, str]]:
    routed = {route.rpc.containing_service.full_name for route in all_routes()}
    return [
        {
            "name": service.name.removesuffix("Service"),
            "description": paragraphs(comments[service.full_name])[0],
        }
        for service in all_services()
        if service.full_name in routed
    ]


def _of_the_edge() -> dict[str, Any]:
    json_type = {"application/json": {"schema": {"type": "object"}}}
    return {
        "/healthz": {
            "get": {
                "operationId": "Edge_GetHealth",
                "summary": "Whether the services behind the edge are up.",
                "security": [],
                "responses": {
                    "200": {"description": "They are."},
                    "503": {"description": "One of them is not."},
                },
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "Edge_GetOpenapi",
                "summary": "This document.",
                "security": [],
                "responses": {"200": {"description": "OpenAPI 3.1.", "content": json_type}},
            }
        },
    }

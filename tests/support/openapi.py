"""envoy/openapi.json as a judge of what the edge answers."""

import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from stack.processes import ROOT

DOCUMENT: dict[str, Any] = json.loads((ROOT / "envoy" / "openapi.json").read_text())
_WHOLE = Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
_REGISTRY: Registry[Any] = Registry().with_resource("kuji", _WHOLE)


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of *schema*, whose references lead into the document."""
    return Draft202012Validator(_absolute(schema), registry=_REGISTRY)


def _absolute(node: Any) -> Any:
    if isinstance(node, list):
        return [_absolute(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: f"kuji{value}" if key == "$ref" else _absolute(value) for key, value in node.items()
    }


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """*node*, or what it refers to."""
    place: Any = DOCUMENT
    for step in node.get("$ref", "").removeprefix("#/").split("/"):
        place = place[step] if step else node
    return dict(place)


def problems_of(verb: str, path: str, code: int, answer: Any) -> list[str]:
    """Where *answer*, HTTP *code* to *verb* *path*, is not what the document says."""
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in _validator_of(verb.lower(), template_of(path), code).iter_errors(answer)
    ]


@cache
def _validator_of(verb: str, template: str, code: int) -> Draft202012Validator:
    responses = DOCUMENT["paths"][template][verb]["responses"]
    response = resolved(responses.get(str(code)) or responses["default"])
    return validator(response["content"]["application/json"]["schema"])


@cache
def template_of(path: str) -> str:
    """The document's path that *path* is one of; KeyError where it has none."""
    fitting = [one for one in DOCUMENT["paths"] if _pattern(one).fullmatch(path)]
    if not fitting:
        raise KeyError(path)
    return str(min(fitting, key=lambda one: one.count("{")))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)))

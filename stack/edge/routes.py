"""Envoy's routes, one for each binding of an RPC; envoy/lua/edge.lua goes by their names."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from kuji.common.v1.access_pb2 import Access

from services.common.roles import EVERYONE, ROLES_OF_ACCESS
from stack.edge.contract import Route
from stack.edge.limits import Limit, of_address
from stack.edge.pages import page_paths, page_routes

Config = dict[str, Any]

_TYPE = "type.googleapis.com/envoy.extensions.filters.http"
_ENABLED: Config = {
    "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
    "config": {},
}
_MAX_BODY_BYTES = 65536

# The service gives up a moment before Envoy does, and says what it knows.
_TIMEOUT, _DEADLINE = "15s", "14S"


def _roles(pattern: str) -> Config:
    role = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "claims"}, {"key": "role"}],
        "value": {"string_match": {"safe_regex": {"regex": pattern}}},
    }
    policy = {
        "permissions": [{"any": True}],
        "principals": [{"sourced_metadata": {"metadata_matcher": role}}],
    }
    return {
        "@type": f"{_TYPE}.rbac.v3.RBACPerRoute",
        "rbac": {"rules": {"policies": {"roles": policy}}},
    }


def _filters(route: Route, credentials: Limit) -> Config:
    filters: Config = {"envoy.filters.http.grpc_json_transcoder": _ENABLED, "inward": _ENABLED}
    if route.access != Access.ACCESS_PUBLIC:
        filters["envoy.filters.http.jwt_authn"] = {
            "@type": f"{_TYPE}.jwt_authn.v3.PerRouteConfig",
            "requirement_name": "token",
        }
    admitted = ROLES_OF_ACCESS[route.access]
    if admitted != EVERYONE:
        filters["envoy.filters.http.rbac"] = _roles("|".join(sorted(admitted)))
    if route.takes_credentials:
        filters["envoy.filters.http.local_ratelimit"] = of_address("credentials", credentials)
    return filters


def _path(route: Route) -> Config:
    if route.variables:
        return {"safe_regex": {"regex": route.pattern}}
    return {"path": route.template}


def _verb(verb: str) -> Config:
    return {"name": ":method", "string_match": {"exact": verb}}


def _download(name: str) -> Config:
    value = f'attachment; filename="{name}"'
    return {"header": {"key": "content-disposition", "value": value}}


def for_event_source(route: Route) -> bool:
    """Whether *route* has a second one, for what comes back by itself if it is not refused."""
    return route.is_events and route.verb == "GET"


def event_source_name(route: Route) -> str:
    """The name of the second route."""
    return f"{route.name} EventSource"


def _to_event_source(route: Route, credentials: Limit) -> Config:
    found = _to_service(route, credentials)
    accepts = {"name": "accept", "string_match": {"contains": "text/event-stream"}}
    match = found["match"] | {"headers": [*found["match"]["headers"], accepts]}
    return found | {"name": event_source_name(route), "match": match}


def _where(route: Route) -> Config:
    if route.is_events:
        # Over connections of their own: listeners that read nothing fill them up. A heartbeat
        # comes more often than that, or the service hangs.
        return {"cluster": f"{route.cluster}_events", "timeout": "0s", "idle_timeout": "60s"}
    if route.rpc.server_streaming:
        return {"cluster": route.cluster, "timeout": "0s", "idle_timeout": "0s"}
    return {"cluster": route.cluster, "timeout": _TIMEOUT}


def _to_service(route: Route, credentials: Limit) -> Config:
    more: Config = {
        "request_headers_to_add": [
            {
                "header": {"key": "grpc-timeout", "value": _DEADLINE},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ]
    }
    if route.rpc.server_streaming:
        more = {}
    if route.template.endswith(".csv"):
        more["response_headers_to_add"] = [_download(route.template.rpartition("/")[2])]
    return {
        "name": route.name,
        "match": _path(route) | {"headers": [_verb(route.verb)]},
        "route": _where(route),
        "typed_per_filter_config": _filters(route, credentials),
        **more,
    }


def _nowhere(name: str, match: Config, filters: Config) -> Config:
    """A route that edge.lua answers. (CORS passes by the routes that answer by themselves.)"""
    return {
        "name": name,
        "match": match,
        "route": {"cluster": "nowhere"},
        "typed_per_filter_config": filters,
    }


def _of_path(path: Config, bindings: list[Route], credentials: Limit) -> Iterator[Config]:
    for route in filter(for_event_source, bindings):
        yield _to_event_source(route, credentials)
    for route in bindings:
        yield _to_service(route, credentials)
    allowed = ", ".join(route.verb for route in bindings)
    yield _nowhere(f"other_methods {allowed}", path, {})


def _document(name: str) -> Iterator[Config]:
    path = {"path": f"/{name}"}
    for verb in ("GET", "HEAD"):
        yield _nowhere(name, path | {"headers": [_verb(verb)]}, {})
    yield _nowhere("other_methods GET, HEAD", path, {})


def envoy_routes(
    routes: Iterable[Route], documents: Iterable[str], credentials: Limit, pages: Path
) -> list[Config]:
    """
    The routes of Envoy's virtual host, in their order.

    Args:
        routes: As contract.routes() gives them: those of one path are neighbours.
        documents: What lies at the root, by its name.
        credentials: How often an address may try to log in.
        pages: Where the files of the pages lie when Envoy reads them.
    """
    length = {"start": _MAX_BODY_BYTES + 1, "end": 2**63 - 1}
    too_large = {"prefix": "/", "headers": [{"name": "content-length", "range_match": length}]}
    return [
        _nowhere("too_large", too_large, {"drain": _ENABLED}),
        *[
            found
            for path, own in groupby(routes, _path)
            for found in _of_path(path, list(own), credentials)
        ],
        *[found for name in documents for found in _document(name)],
        _nowhere("unknown", {"path_separated_prefix": "/admin/api"}, {}),  # no page
        *page_routes(pages),
        *[_nowhere("other_methods GET, HEAD", path, {}) for path in page_paths()],
        _nowhere("connect", {"connect_matcher": {}}, {}),
        _nowhere("grpc", {"safe_regex": {"regex": r"/[\w.]+\.\w+/\w+"}}, {}),
        _nowhere("unknown", {"prefix": "/"}, {}),
    ]

"""A listener where Envoy says whether it is ready, and its metrics; and nothing else."""

import json
from typing import Any

Config = dict[str, Any]

_TYPE = "type.googleapis.com/envoy.extensions.filters"
_SHOWN = ("/ready", "/stats/prometheus")


def socket_address(address: str) -> Config:
    """*address*, host:port, as Envoy has it."""
    host, _, port = address.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}


def status_listeners(address: str) -> str:
    """The listener at *address*, as an item of YAML; none without one."""
    if not address:
        return ""
    manager: Config = {
        "@type": f"{_TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "status",
        "normalize_path": True,
        "request_timeout": "10s",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.http.router.v3.Router"},
            }
        ],
        "route_config": {
            "virtual_hosts": [{"name": "status", "domains": ["*"], "routes": _routes()}]
        },
    }
    name = "envoy.filters.network.http_connection_manager"
    chain: Config = {"filters": [{"name": name, "typed_config": manager}]}
    listener: Config = {
        "name": "status",
        "address": socket_address(address),
        "filter_chains": [chain],
    }
    return f"- {json.dumps(listener)}"


def _routes() -> list[Config]:
    get: Config = {"name": ":method", "string_match": {"exact": "GET"}}
    shown = [
        {
            "match": {"path": path, "headers": [get]},
            "route": {"cluster": "envoy", "timeout": "10s"},
        }
        for path in _SHOWN
    ]
    return [*shown, {"match": {"prefix": "/"}, "direct_response": {"status": 404}}]

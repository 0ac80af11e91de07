"""The edge's own traces: what Envoy's configuration has beside the rest where they are on."""

import json
from typing import Any
from urllib.parse import urlsplit

from services.common.traces.settings import TraceSettings
from stack.edge.status import socket_address

Config = dict[str, Any]

_CLUSTER = "otlp"
_KNOWN_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_TYPE = "type.googleapis.com/envoy"
# Set last, so in place of what Envoy says by itself: addresses of pages hold prize codes, and a
# header can be long.
_TAGS = [
    {"tag": "http.url", "value": "%ROUTE_NAME%"},
    {"tag": "user_agent", "value": "-"},
]


def tracing(settings: TraceSettings | None) -> str:
    """
    The tracing of the connection manager, as an item of YAML; none where it is off.

    Whether a trace is sampled is decided here: nothing that a client says counts.
    """
    if settings is None or not settings.is_on:
        return ""
    config: Config = {
        "@type": f"{_TYPE}.config.trace.v3.OpenTelemetryConfig",
        "grpc_service": {"envoy_grpc": {"cluster_name": _CLUSTER}, "timeout": "5s"},
        "service_name": settings.service_name or "kuji-edge",
    }
    manager: Config = {
        "provider": {"name": "envoy.tracers.opentelemetry", "typed_config": config},
        "random_sampling": {"value": settings.ratio * 100},
        "client_sampling": {"value": 0},
        "overall_sampling": {"value": 100},
        "operation": "%ROUTE_NAME%",
        "custom_tags": _TAGS,
    }
    return f"tracing: {json.dumps(manager)}"


def trace_clusters(settings: TraceSettings | None) -> str:
    """The way to the collector, as an item of YAML; none where it is off."""
    if settings is None or not settings.is_on:
        return ""
    url = urlsplit(settings.exporter_otlp_endpoint)
    address = socket_address(f"{url.hostname}:{url.port}")
    protocol: Config = {
        "@type": f"{_TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    cluster: Config = {
        "name": _CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            f"{_TYPE.rpartition('/')[2]}.extensions.upstreams.http.v3.HttpProtocolOptions": protocol
        },
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if url.scheme == "https":
        tls = {"@type": f"{_TYPE}.extensions.transport_sockets.tls.v3.UpstreamTlsContext"}
        authorities = settings.exporter_otlp_certificate or _KNOWN_AUTHORITIES
        named = {"sni": url.hostname, "common_tls_context": _trusting(authorities, url.hostname)}
        cluster["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": tls | named,
        }
    return f"- {json.dumps(cluster)}"


def _trusting(authorities: str, host: str | None) -> Config:
    name = {"san_type": "DNS", "matcher": {"exact": host}}
    return {
        "validation_context": {
            "trusted_ca": {"filename": authorities},
            "match_typed_subject_alt_names": [name],
        }
    }

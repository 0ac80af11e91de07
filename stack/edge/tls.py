"""TLS of the edge, to its clients and to the services; certificates may be replaced meanwhile."""

import json
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from services.common.tls_files import TlsFiles

Config = dict[str, Any]

_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_TO_CLIENTS, _OWN, _BELIEVED = "edge", "own", "believed"


class CertFiles(NamedTuple):
    """Where the edge's certificate for its clients is, and the key of that; PEM."""

    cert: Path
    key: Path


def to_clients(files: CertFiles | None, folder: Path) -> str:
    """The transport of the edge's listener, as an entry of YAML; none for plain HTTP."""
    if files is None:
        return ""
    context = {
        "@type": f"{_TYPE}.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [_secret(_TO_CLIENTS, folder)],
        },
    }
    return _transport(context)


def to_services(files: TlsFiles | None, addresses: Sequence[str], folder: Path) -> str:
    """The transport to the services at *addresses*, likewise."""
    if files is None:
        return ""
    hosts = sorted({address.rpartition(":")[0].strip("[]") for address in addresses})
    names = [_name(host) for host in hosts]
    context: Config = {
        "@type": f"{_TYPE}.UpstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificate_sds_secret_configs": [_secret(_OWN, folder)],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": names},
                "validation_context_sds_secret_config": _secret(_BELIEVED, folder),
            },
        },
    }
    if names[0]["san_type"] == "DNS":
        context["sni"] = hosts[0]
    return _transport(context)


def _name(host: str) -> Config:
    try:
        ip_address(host)
    except ValueError:
        return {"san_type": "DNS", "matcher": {"exact": host}}
    return {"san_type": "IP_ADDRESS", "matcher": {"exact": host}}


def _transport(context: Config) -> str:
    transport = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return f"transport_socket: {json.dumps(transport)}"


def _secret(name: str, folder: Path) -> Config:
    source = {"path": str(folder / f"{name}.tls.json")}
    return {
        "name": name,
        "sds_config": {"path_config_source": source, "resource_api_version": "V3"},
    }


def secrets(edge: CertFiles | None, services: TlsFiles | None) -> dict[str, bytes]:
    """The files, by their names, that say where certificates are."""
    found: dict[str, Config] = {}
    if edge is not None:
        found[_TO_CLIENTS] = _pair(edge.cert, edge.key)
    if services is not None:
        found[_OWN] = _pair(services.cert, services.key)
        believed = {"trusted_ca": _file(services.ca), "watched_directory": _folder(services.ca)}
        found[_BELIEVED] = {"validation_context": believed}
    return {f"{name}.tls.json": _resource(name, secret) for name, secret in found.items()}


def _pair(cert: Path, key: Path) -> Config:
    pair = {"certificate_chain": _file(cert), "private_key": _file(key)}
    return {"tls_certificate": pair | {"watched_directory": _folder(cert)}}


def _file(file: Path) -> Config:
    return {"filename": str(file.absolute())}


def _folder(file: Path) -> Config:
    return {"path": str(file.absolute().parent)}


def _resource(name: str, secret: Config) -> bytes:
    resource = {"@type": f"{_TYPE}.Secret", "name": name, **secret}
    return json.dumps({"resources": [resource]}).encode()

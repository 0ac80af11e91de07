"""Envoy's configuration: envoy/envoy.yaml, with addresses and what the protos say filled in."""

import gzip
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from services.common.enveloped import ENVELOPED, name_enveloped
from services.common.tls_files import TlsFiles
from services.common.traces.settings import TraceSettings
from stack.edge.contract import CLUSTERS, Route, routes
from stack.edge.inward import take_off_others
from stack.edge.limits import Limits, of_address, of_user
from stack.edge.pages import page_files
from stack.edge.routes import envoy_routes
from stack.edge.status import socket_address, status_listeners
from stack.edge.tables import DOCUMENTS, Document, contract_lua, methods_lua
from stack.edge.tls import CertFiles, secrets, to_clients, to_services
from stack.edge.traces import trace_clusters, tracing
from stack.home import write_privately
from stack.processes import ROOT, Program
from stack.wheels import envoy_binary

_INSTALLED = Path(__file__).with_name("envoy")  # where a wheel has them; see setup.py
SOURCES = _INSTALLED if _INSTALLED.exists() else ROOT / "envoy"
TEMPLATE = SOURCES / "envoy.yaml"
DESCRIPTOR = SOURCES / "kuji.binpb"
_HTTP_BODY = "google/api/httpbody.proto"
EVERYBODY = "*"
# Of refusals that may be over by then.
_RETRY_AFTER = {
    "header": {"key": "retry-after", "value": "1"},
    "append_action": "ADD_IF_ABSENT",
}
_OF_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # any address → one


@dataclass(frozen=True)
class Edge:
    """
    Where Envoy listens and what it leads to.

    Args:
        host: Address that it listens on, as numbers.
        port: Port that it listens on.
        admin_socket: Socket of Envoy's own administration; its folder is closed to others. The
            socket beside it is the way to the tokens' keys.
        upstreams: host:port of each process of each service; see CLUSTERS.
        secret: What it shows the services, so that they take its word on clients' addresses.
        trusted_hops: Proxies in front of it whose X-Forwarded-For is taken; 0: nobody's is.
        origins: Whose pages may call, such as "https://shop.example"; EVERYBODY: all.
        limits: What it takes of one address and of one user.
        status: host:port where it says how it is; empty: nowhere.
        tls: Its certificate for its clients; None: it speaks plain HTTP.
        services_tls: What it shows to the services, and whom it believes; None: likewise.
        traces: Whether and where its traces go; None: nowhere.
        threads: How many serve, where Envoy is started here; 0: see usual_threads().
        is_run_at_socket: Whether Envoy is run in the folder of its socket. A socket's address is
            short, a folder's may be long.
    """

    host: str
    port: int
    admin_socket: Path
    upstreams: Mapping[str, Sequence[str]]
    secret: str
    trusted_hops: int = 0
    origins: Sequence[str] = (EVERYBODY,)
    limits: Limits = field(default_factory=Limits)
    status: str = ""
    tls: CertFiles | None = None
    services_tls: TlsFiles | None = None
    traces: TraceSettings | None = None
    threads: int = 0
    is_run_at_socket: bool = True

    @property
    def url(self) -> str:
        """Where a browser goes on this machine."""
        host = _OF_THIS_MACHINE.get(self.host, self.host)
        scheme = "https" if self.tls else "http"
        return (
            f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"
        )


def render(edge: Edge, folder: Path) -> dict[str, bytes]:
    """
    The files that Envoy reads, by their names.

    Args:
        edge: Where it listens and what it leads to.
        folder: Where the files lie when it reads them.
    """
    known = routes()
    scripts = {file.name: file.read_bytes() for file in (SOURCES / "lua").glob("*.lua")}
    documents = {name: _compact((SOURCES / name).read_bytes()) for name in DOCUMENTS}
    tagged = {name: Document(folder / name, _tag(text)) for name, text in documents.items()}
    packed = {f"{name}.gz": gzip.compress(text, mtime=0) for name, text in documents.items()}
    return {
        "envoy.yaml": _configuration(edge, folder, known).encode(),
        "kuji.binpb": _descriptor(),
        "methods.lua": methods_lua(known).encode(),
        "contract.lua": contract_lua(tagged, edge.secret).encode(),
        **secrets(edge.tls, edge.services_tls),
        **scripts,
        **documents,
        **packed,
        **page_files(),
    }


def _compact(document: bytes) -> bytes:
    return json.dumps(json.loads(document), separators=(",", ":")).encode()


def _tag(text: bytes) -> str:
    return f'"{hashlib.sha256(text).hexdigest()[:16]}"'


def _configuration(edge: Edge, folder: Path, known: Sequence[Route]) -> str:
    services = dict.fromkeys(route.rpc.containing_service.full_name for route in known)
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        EDGE_HOST=edge.host,
        EDGE_PORT=edge.port,
        ADMIN_SOCKET=_socket(edge, edge.admin_socket.name),
        KEYS_SOCKET=_socket(edge, "keys.sock"),
        EDGE_TLS=to_clients(edge.tls, folder),
        STATUS_LISTENERS=status_listeners(edge.status),
        TRACING=tracing(edge.traces),
        TRACE_CLUSTERS=trace_clusters(edge.traces),
        DESCRIPTOR=folder / "kuji.binpb",
        EDGE_SECRET=edge.secret,
        TRUSTED_HOPS=edge.trusted_hops,
        SERVICES=json.dumps(list(services)),
        ROUTES=json.dumps(envoy_routes(known, DOCUMENTS, edge.limits.credentials, folder)),
        ADDRESS_LIMIT=json.dumps(of_address("flood", edge.limits.address)),
        USER_LIMIT=json.dumps(of_user("users", edge.limits.user)),
        INWARD=json.dumps(take_off_others()),
        LUA_PATH=f"{folder}/?.lua",
        ORIGINS=json.dumps(_origins(edge.origins)),
        CORS_OF_REFUSALS=json.dumps(_cors_of_refusals(edge.origins)),
        REPEATABLE=json.dumps([*_cors_of_refusals(edge.origins), _RETRY_AFTER]),
        **{f"{name.upper()}_ENDPOINTS": _endpoints(edge.upstreams[name]) for name in CLUSTERS},
        **{
            f"{name.upper()}_TLS": to_services(edge.services_tls, edge.upstreams[name], folder)
            for name in CLUSTERS
        },
    )


def _descriptor() -> bytes:
    """
    The services' descriptor set as Envoy takes it.

    Envoy refuses response_body but for HttpBody, so it is left out; answer.lua does its work. Where
    a service writes the whole answer by itself, Envoy knows the RPC that gives it so.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR.read_bytes())
    for file in files.file:
        for service in file.service:
            for method in list(service.method):
                if method.options.HasExtension(annotations_pb2.http):
                    method.options.Extensions[annotations_pb2.http].ClearField("response_body")
                if f"{file.package}.{service.name}.{method.name}" in ENVELOPED:
                    _envelope(file, service, method)
    return files.SerializeToString()


def _envelope(
    file: descriptor_pb2.FileDescriptorProto,
    service: descriptor_pb2.ServiceDescriptorProto,
    method: descriptor_pb2.MethodDescriptorProto,
) -> None:
    """Bind the route of *method* to the RPC by which it gives its answers as HttpBody."""
    other = service.method.add()
    other.CopyFrom(method)
    other.name, other.output_type = name_enveloped(method.name), ".google.api.HttpBody"
    method.options.ClearExtension(annotations_pb2.http)
    if _HTTP_BODY not in file.dependency:
        file.dependency.append(_HTTP_BODY)


def _origins(origins: Sequence[str]) -> list[Any]:
    if EVERYBODY in origins:
        return [{"safe_regex": {"regex": ".*"}}]
    return [{"exact": origin} for origin in origins]


def _cors_of_refusals(origins: Sequence[str]) -> list[Any]:
    """
    CORS of what Envoy refuses before its filters see it, and perhaps before it knows the origin.

    Where several origins are allowed, there is none: such a header names one or all.
    """
    if len(origins) != 1:
        return []
    header = {"key": "access-control-allow-origin", "value": origins[0]}
    return [{"header": header, "append_action": "ADD_IF_ABSENT"}]


def _socket(edge: Edge, name: str) -> str:
    return json.dumps(name if edge.is_run_at_socket else str(edge.admin_socket.with_name(name)))


def _endpoints(addresses: Sequence[str]) -> str:
    return json.dumps([{"endpoint": {"address": socket_address(one)}} for one in addresses])


def usual_threads() -> int:
    """
    Threads of an Envoy that has the services beside it: for half of the cores.

    A call costs less in few of them: each wakes up for more at once, and has its own connections.
    """
    return max(1, len(os.sched_getaffinity(0)) // 2)


def envoy(edge: Edge, folder: Path, log: Path) -> Program:
    """Envoy with its configuration written into *folder*."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in render(edge, folder).items():
        write_privately(folder / name, content)
    options = ["--disable-hot-restart", "--log-level", "warn", "--use-dynamic-base-id"]
    options += ["--concurrency", str(edge.threads or usual_threads())]
    # It asks for the tokens' keys before auth is there, and again.
    options += ["--component-log-level", "jwt:error,misc:error"]
    command = [envoy_binary(), "-c", str(folder / "envoy.yaml"), *options]
    return Program("envoy", command, log, folder=edge.admin_socket.parent)

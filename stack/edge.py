"""Envoy: its configuration rendered from envoy/envoy.yaml, and what it says of itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2

from stack.home import write_privately
from stack.probes import UNREACHABLE, http_get_from_socket, serves_http
from stack.processes import ROOT, Program
from stack.wheels import envoy_binary

TEMPLATE = ROOT / "envoy" / "envoy.yaml"
DESCRIPTOR = ROOT / "envoy" / "kuji.binpb"
_OF_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # any address → one
CLUSTERS = ("auth", "draw", "admin", "history")


@dataclass(frozen=True)
class Edge:
    """
    Where Envoy listens and what it leads to.

    Args:
        host: Address of the outer listener, as numbers.
        port: Port of the outer listener.
        inner_port: Port of the inner listener, on loopback.
        admin_socket: Socket of Envoy's own administration; its folder is closed to others.
        upstreams: host:port of each process of each service; see CLUSTERS.
        secret: What it shows the services, so that they take its word on clients' addresses.
        trusted_hops: Proxies in front of it whose X-Forwarded-For is taken; 0: nobody's is.
    """

    host: str
    port: int
    inner_port: int
    admin_socket: Path
    upstreams: Mapping[str, Sequence[str]]
    secret: str
    trusted_hops: int = 0

    @property
    def url(self) -> str:
        """Where a browser goes on this machine."""
        host = _OF_THIS_MACHINE.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def render(edge: Edge, descriptor: Path) -> str:
    """Envoy's configuration, as YAML; *descriptor* is what describe() wrote."""
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        EDGE_HOST=edge.host,
        EDGE_PORT=edge.port,
        INNER_PORT=edge.inner_port,
        ADMIN_ADDRESS=json.dumps({"pipe": {"path": edge.admin_socket.name, "mode": 0o600}}),
        DESCRIPTOR=descriptor,
        EDGE_SECRET=edge.secret,
        TRUSTED_HOPS=edge.trusted_hops,
        ENVELOPE=TEMPLATE.with_name("envelope.lua"),
        **{f"{name.upper()}_ENDPOINTS": _endpoints(edge.upstreams[name]) for name in CLUSTERS},
    )


def describe() -> bytes:
    """
    The services' descriptor set as Envoy takes it.

    Envoy refuses response_body but for HttpBody, so it is left out; envelope.lua does its work.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTOR.read_bytes())
    for file in files.file:
        for service in file.service:
            for method in service.method:
                if method.options.HasExtension(annotations_pb2.http):
                    method.options.Extensions[annotations_pb2.http].ClearField("response_body")
    return files.SerializeToString()


def _endpoints(addresses: Sequence[str]) -> str:
    hosts = [address.rpartition(":") for address in addresses]
    return json.dumps(
        [
            {
                "endpoint": {
                    "address": {"socket_address": {"address": host, "port_value": int(port)}}
                }
            }
            for host, _, port in hosts
        ]
    )


def envoy(edge: Edge, folder: Path, log: Path) -> Program:
    """Envoy with its configuration written into *folder*."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "envoy.yaml"
    descriptor = folder / "kuji.binpb"
    descriptor.write_bytes(describe())
    write_privately(config, render(edge, descriptor))
    options = ["--disable-hot-restart", "--log-level", "warn", "--use-dynamic-base-id"]
    # It asks for the tokens' keys before auth is there, and again.
    options += ["--component-log-level", "jwt:error"]
    command = [envoy_binary(), "-c", str(config), *options]
    # Run where its socket is: a socket's address is short, a folder's may be long.
    return Program("envoy", command, log, folder=edge.admin_socket.parent)


async def is_healthy_upstream(edge: Edge, address: str) -> bool:
    """Whether Envoy's gRPC health check of the process at *address* passes."""
    try:
        _, body = await http_get_from_socket(edge.admin_socket, "/clusters")
    except UNREACHABLE:
        return False
    return f"::{address}::health_flags::healthy" in body


async def is_serving(edge: Edge) -> bool:
    """Whether every service is healthy behind the edge, and the edge knows the tokens' keys."""
    if not await serves_http(f"{edge.url}/healthz"):
        return False
    try:
        _, body = await http_get_from_socket(edge.admin_socket, "/stats?filter=jwks_fetch_success")
    except UNREACHABLE:
        return False
    return any(int(line.rpartition(" ")[2]) > 0 for line in body.splitlines())

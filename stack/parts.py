"""The parts of a stack: what each runs, when it is ready, and what starts before what."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from stack import edge as edges
from stack import servers
from stack.edge import Edge
from stack.home import SECRET_NAMES, SECRETS_OF_PART, Home
from stack.ports import free_port
from stack.processes import Probe, Program
from stack.settings import StackSettings

DATABASE = "kuji"
MODULES = {
    "auth": "services.auth",
    "draw": "services.draw",
    "admin": "services.admin",
    "history": "services.history",
    "recorder": "services.recorder",
}


@dataclass(frozen=True)
class Part:
    """A program, and how to see that it is ready."""

    program: Program
    is_ready: Probe


@dataclass(frozen=True)
class Addresses:
    """
    Where everything is.

    Args:
        edge: Envoy's listeners and upstreams.
        redis: URL of the stock and the ledger.
        postgres: DSN of the database.
        metrics: Process → host:port of its metrics.
    """

    edge: Edge
    redis: str
    postgres: str
    metrics: Mapping[str, str]

    def endpoints(self, admin_password: str) -> dict[str, object]:
        """The content of endpoints.json."""
        return {
            "edge": self.edge.url,
            "grpc": {name: addresses[0] for name, addresses in self.edge.upstreams.items()},
            "redis": self.redis,
            "postgres": self.postgres,
            "metrics": {name: f"http://{at}/metrics" for name, at in self.metrics.items()},
            "admin": {"username": "admin", "password": admin_password},
        }


def choose_addresses(settings: StackSettings) -> Addresses:
    """Free ports for all that is to be started."""
    processes = dict.fromkeys(edges.CLUSTERS, 1) | {"draw": settings.draw_processes}
    upstreams = {name: [_loopback() for _ in range(n)] for name, n in processes.items()}
    edge = Edge(settings.edge_host, settings.edge_port, free_port(), free_port(), upstreams)
    names = [_process(name, n) for name in upstreams for n in range(1, processes[name] + 1)]
    return Addresses(
        edge,
        settings.redis_url or f"redis://{_loopback()}/0",
        settings.postgres_dsn or f"postgresql://postgres@{_loopback()}/{DATABASE}",
        {name: _loopback() for name in [*names, "recorder"]},
    )


def _process(service: str, number: int) -> str:
    return service if number == 1 else f"{service}-{number}"


def _loopback() -> str:
    return f"127.0.0.1:{free_port()}"


def store_parts(settings: StackSettings, home: Home, addresses: Addresses) -> list[Part]:
    """Valkey and Postgres, each unless another one is to be used."""
    parts = []
    if settings.redis_url is None:
        port = int(addresses.redis.rpartition(":")[2].partition("/")[0])
        program = servers.valkey(home.data("valkey"), port, home.log("valkey"))
        parts.append(Part(program, partial(servers.valkey_answers, addresses.redis)))
    if settings.postgres_dsn is None:
        server = addresses.postgres.rpartition("/")[0]
        port = int(server.rpartition(":")[2])
        program = servers.postgres(home.data("postgres"), port, home.log("postgres"))
        parts.append(Part(program, partial(servers.postgres_answers, f"{server}/postgres")))
    return parts


def service_parts(home: Home, addresses: Addresses, secrets: Mapping[str, str]) -> list[Part]:
    """The services and the recorder; they may start in any order."""
    maker = _ServiceMaker(home, addresses, _environment(addresses), secrets)
    services = [
        Part(
            maker.program(service, number, address),
            partial(edges.is_healthy_upstream, addresses.edge, address),
        )
        for service, upstreams in addresses.edge.upstreams.items()
        for number, address in enumerate(upstreams, start=1)
    ]
    recorder = maker.program("recorder", 1, _loopback())
    metrics_port = int(addresses.metrics["recorder"].rpartition(":")[2])
    return [*services, Part(recorder, partial(edges.serves_http, metrics_port, "/metrics"))]


def edge_part(home: Home, addresses: Addresses) -> Part:
    """Envoy; it is ready when all behind it is healthy."""
    program = edges.envoy(addresses.edge, home.folder, home.log("envoy"))
    return Part(program, partial(edges.is_serving, addresses.edge))


def _environment(addresses: Addresses) -> dict[str, str]:
    shared = {name: value for name, value in os.environ.items() if name not in SECRET_NAMES}
    upstreams = addresses.edge.upstreams
    return shared | {
        "KUJI_POSTGRES_DSN": addresses.postgres,
        "KUJI_REDIS_URL": addresses.redis,
        **{f"KUJI_{name.upper()}_ADDRESS": found[0] for name, found in upstreams.items()},
    }


@dataclass(frozen=True)
class _ServiceMaker:
    home: Home
    addresses: Addresses
    environment: Mapping[str, str]
    secrets: Mapping[str, str]

    def program(self, service: str, number: int, address: str) -> Program:
        """Process *number* of *service*, with the secrets that it needs and no other."""
        name = _process(service, number)
        own = {
            "KUJI_LISTEN": address,
            "KUJI_METRICS_LISTEN": self.addresses.metrics[name],
            **{key: self.secrets[key] for key in SECRETS_OF_PART.get(service, ())},
        }
        command = [sys.executable, "-m", MODULES[service]]
        return Program(name, command, self.home.log(name), {**self.environment, **own})

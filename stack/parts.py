"""The parts of a stack: what each runs, when it is ready, and what starts before what."""

import itertools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from services.common.grants import SERVICES, role_of
from services.common.settings import read_settings
from services.common.traces.settings import TraceSettings
from stack import aof, databases, probes, servers
from stack.credentials import OPERATOR, Passwords
from stack.edge.config import Edge, envoy
from stack.edge.contract import CLUSTERS
from stack.edge.health import is_healthy_upstream, is_serving
from stack.home import SECRET_NAMES, SECRETS_OF_PART, Home, write_privately
from stack.ports import Ports, edge_address
from stack.processes import Probe, Program, StackError
from stack.settings import StackSettings

MODULES = {
    "auth": "services.auth",
    "draw": "services.draw",
    "admin": "services.admin",
    "history": "services.history",
    "recorder": "services.recorder",
}
USERS_OF_REDIS = ("draw", "history", "recorder")  # as in valkey.acl
_STORE_ADDRESSES = {"KUJI_POSTGRES_DSN", "KUJI_REDIS_URL"}


@dataclass(frozen=True)
class Part:
    """
    A program, and how to see that it is ready.

    Args:
        program: What runs.
        is_ready: Whether it does its work.
        mend: Called before each start; it repairs what the last end has left, says what it did, and
            raises StackError where it cannot. Told whether the last start has failed.
    """

    program: Program
    is_ready: Probe
    mend: Callable[[bool], str | None] | None = None


@dataclass(frozen=True)
class Addresses:
    """
    Where everything is.

    Args:
        edge: Envoy's listeners and upstreams.
        redis: Who → URL of the stock and the ledger, as whoever needs it comes in.
        postgres: Who → DSN of the database, likewise.
        metrics: Process → host:port of its metrics.
        recorder: host:port of the recorder, which serves health alone.
    """

    edge: Edge
    redis: Mapping[str, str]
    postgres: Mapping[str, str]
    metrics: Mapping[str, str]
    recorder: str

    def endpoints(self, admin_password: str) -> dict[str, object]:
        """The content of endpoints.json."""
        return {
            "edge": self.edge.url,
            **({"edge_certificate": str(self.edge.tls.cert.absolute())} if self.edge.tls else {}),
            "grpc": {name: addresses[0] for name, addresses in self.edge.upstreams.items()},
            "redis": self.redis[OPERATOR],
            "postgres": self.postgres[OPERATOR],
            "metrics": {name: f"http://{at}/metrics" for name, at in self.metrics.items()},
            "admin": {"username": "admin", "password": admin_password},
        }


def choose_addresses(settings: StackSettings, home: Home, passwords: Passwords) -> Addresses:
    """
    Where all that is to be started will be: where it was, or where the operator wants it.

    Raises:
        StackError: A port that he wants is not to be had.
    """
    _check_readable([*(settings.edge_tls or ()), *(settings.tls or ())])
    ports = Ports(settings.ports, home.ports())
    processes = dict.fromkeys(CLUSTERS, 1) | {"draw": settings.draw_processes}
    names = {
        service: [_process(service, n) for n in range(1, count + 1)]
        for service, count in processes.items()
    }
    upstreams = {service: list(map(ports.address_of, each)) for service, each in names.items()}
    socket = home.folder / "envoy" / "admin.sock"
    edge = Edge(
        edge_address(settings.edge_host, settings.edge_port),
        settings.edge_port,
        socket,
        upstreams,
        token_hex(32),
        settings.edge_trusted_hops,
        settings.edge_origins,
        settings.limits,
        status=settings.edge_status_listen,
        tls=settings.edge_tls,
        services_tls=settings.tls,
        traces=read_settings(TraceSettings),
        threads=settings.edge_threads,
    )
    addresses = Addresses(
        edge,
        _redis_urls(settings, passwords, ports),
        _postgres_dsns(settings, passwords, ports),
        {
            name: ports.address_of(f"{name}-metrics")
            for name in [*itertools.chain(*names.values()), "recorder"]
        },
        ports.address_of("recorder"),
    )
    ports.check_all_known()
    home.keep_ports(ports.chosen)
    return addresses


def _check_readable(files: Iterable[Path]) -> None:
    for file in files:
        if not os.access(file, os.R_OK):
            raise StackError(f"The certificate or key {file} cannot be read")


def _redis_urls(settings: StackSettings, passwords: Passwords, ports: Ports) -> dict[str, str]:
    if settings.redis_url is not None:
        return dict.fromkeys((OPERATOR, *USERS_OF_REDIS), settings.redis_url)
    place = ports.address_of("valkey")
    return {
        user: f"redis://{user}:{passwords.of('valkey', user)}@{place}/0"
        for user in (OPERATOR, *USERS_OF_REDIS)
    }


def _postgres_dsns(settings: StackSettings, passwords: Passwords, ports: Ports) -> dict[str, str]:
    if settings.postgres_dsn is not None:
        return dict.fromkeys((OPERATOR, *SERVICES), settings.postgres_dsn)
    place = ports.address_of("postgres")
    roles = {OPERATOR: databases.OWNER} | {service: role_of(service) for service in SERVICES}
    return {
        who: f"postgresql://{role}:{passwords.of('postgres', role)}@{place}/{databases.DATABASE}"
        for who, role in roles.items()
    }


def _process(service: str, number: int) -> str:
    return service if number == 1 else f"{service}-{number}"


def store_parts(
    settings: StackSettings, home: Home, addresses: Addresses, passwords: Passwords
) -> list[Part]:
    """Valkey and Postgres, each unless another one is to be used."""
    parts = []
    if settings.redis_url is None:
        url = addresses.redis[OPERATOR]
        users = home.folder / "valkey.acl"
        write_privately(users, passwords.valkey_users((OPERATOR, *USERS_OF_REDIS)))
        folder = home.data("valkey")
        program = servers.valkey(folder, port_of(url), home.log("valkey"), users)
        answers = partial(servers.valkey_answers, url)
        parts.append(Part(program, answers, mend=partial(aof.mend, folder)))
    if settings.postgres_dsn is None:
        folder, port = home.data("postgres"), port_of(addresses.postgres[OPERATOR])
        program = servers.postgres(folder, port, home.log("postgres"))
        parts.append(Part(program, partial(databases.is_up, folder, port)))
    return parts


def port_of(url: str) -> int:
    """The port that *url* names."""
    return int(urlsplit(url).port or 0)


def service_parts(home: Home, addresses: Addresses, secrets: Mapping[str, str]) -> list[Part]:
    """The services and the recorder; they may start in any order."""
    maker = _ServiceMaker(home, addresses, _shared_environment(addresses), secrets)
    services = [
        Part(
            maker.program(service, number, address),
            partial(is_healthy_upstream, addresses.edge, address),
        )
        for service, upstreams in addresses.edge.upstreams.items()
        for number, address in enumerate(upstreams, start=1)
    ]
    recorder = maker.program("recorder", 1, addresses.recorder)
    metrics = f"http://{addresses.metrics['recorder']}/metrics"
    return [*services, Part(recorder, partial(probes.serves_http, metrics))]


def edge_part(home: Home, addresses: Addresses) -> Part:
    """Envoy; it is ready when all behind it is healthy."""
    program = envoy(addresses.edge, home.folder / "envoy", home.log("envoy"))
    return Part(program, partial(is_serving, addresses.edge))


def _shared_environment(addresses: Addresses) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in SECRET_NAMES | _STORE_ADDRESSES}
    upstreams = addresses.edge.upstreams
    return kept | {f"KUJI_{name.upper()}_ADDRESS": found[0] for name, found in upstreams.items()}


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
            "KUJI_KEYS_FILE": str(self.home.folder / "keys.json"),
            "KUJI_POSTGRES_DSN": self.addresses.postgres[service],
            "KUJI_EDGE_SECRET": self.addresses.edge.secret,
            **{
                key: self.secrets[key]
                for key in SECRETS_OF_PART.get(service, ())
                if key in self.secrets
            },
        }
        if service in USERS_OF_REDIS:
            own["KUJI_REDIS_URL"] = self.addresses.redis[service]
        if service == "draw":
            own["KUJI_MARKS_FOLDER"] = str(self.home.data("marks"))
        command = [sys.executable, "-m", MODULES[service]]
        return Program(name, command, self.home.log(name), {**self.environment, **own})

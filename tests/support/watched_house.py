"""All services, the edge before them, users who are at it, and a Prometheus that looks at it."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kuji.auth.v1 import auth_pb2
from kuji.draw.v1 import draw_pb2
from kuji.history.v1 import history_pb2

from services.common.tasks import pause
from services.common.traces.settings import TraceSettings
from stack.edge.config import Edge, envoy
from stack.edge.contract import CLUSTERS
from stack.edge.health import is_serving
from stack.ports import free_port
from stack.processes import Child, stop
from tests.support.house import House, open_activity, open_house
from tests.support.prometheus import Prometheus, watching

UNITS = 1_000_000
_CALL_S = 3.0
_names = itertools.count(1)


@dataclass
class WatchedHouse:
    """
    What runs.

    Args:
        edge: A client of it.
        marks: The folder of the marks.
        postgres_dsn: Of the database, past the gate.
        activity_id: An ongoing one, from which is drawn all the time.
        user: Who draws.
        admin: A token.
    """

    house: House
    prometheus: Prometheus
    edge: httpx.AsyncClient
    marks: Path
    postgres_dsn: str
    activity_id: int
    user: auth_pb2.Session
    admin: str

    def metadata(self, token: str = "") -> tuple[tuple[str, str], ...]:
        """Of a call with *token*; the user's, if there is none."""
        return (("authorization", f"Bearer {token or self.user.access_token}"),)

    @asynccontextmanager
    async def expecting(self, *alarms: str, patience_s: float = 30) -> AsyncIterator[None]:
        """
        None of *alarms* fires before the block; each has, once it is left, because of it.

        Args:
            patience_s: From the end of the block on: how long it takes, the machine decides.
        """
        await self.prometheus.until_quiet(*alarms)
        missing = set(alarms)
        looking = asyncio.ensure_future(self.prometheus.cross_off(missing))
        try:
            yield
            done, _ = await asyncio.wait([looking], timeout=patience_s)
            assert done, f"do not fire: {sorted(missing)}"
            looking.result()
        finally:
            looking.cancel()

    async def draw(self, activity_id: int, request_id: str = "") -> None:
        """Draw once; nothing is said of the outcome."""
        request = draw_pb2.DrawRequest(
            activity_id=activity_id, request_id=request_id or f"draw-{next(_names)}"
        )
        await tried(
            self.house.stub("Draw").Draw(request, timeout=_CALL_S, metadata=self.metadata())
        )

    async def read(self) -> None:
        """Read what the user has drawn."""
        request = history_pb2.ListUserDrawsRequest(page=1, page_size=5)
        method = self.house.stub("History").ListUserDraws
        await tried(method(request, timeout=_CALL_S, metadata=self.metadata()))

    async def log_in(self, password: str = "correct horse") -> None:
        """Log the user in."""
        request = auth_pb2.LoginRequest(username="alice", password=password)
        await tried(self.house.stub("Auth").Login(request, timeout=_CALL_S))

    async def call_edge(self) -> None:
        """Draw as a browser does."""
        with suppress(httpx.HTTPError):
            await self.edge.post(
                "/api/lottery/draw",
                json={"activity_id": str(self.activity_id)},
                headers=dict(self.metadata()),
            )

    async def meanwhile(self, work: Callable[[], Awaitable[object]], every_s: float) -> None:
        """Do *work* again and again, until cancelled."""
        while True:
            await work()
            await pause(every_s)

    @asynccontextmanager
    async def frozen(self, service: str, for_s: float) -> AsyncIterator[None]:
        """*service* stands still for moments of *for_s*, again and again."""

        async def freeze() -> None:
            async with self.house.stopped(service):
                await pause(for_s)

        async with going(self.meanwhile(freeze, 0.05)):
            yield

    def pid(self, service: str) -> int:
        """The process id of *service*."""
        return self.house.children[service].pid


async def tried(call: Awaitable[Any]) -> None:
    """Await *call*; a refusal is an answer, too."""
    with suppress(grpc.aio.AioRpcError):
        await call


@asynccontextmanager
async def going(*works: Any) -> AsyncIterator[None]:
    """*works* go on meanwhile."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


@asynccontextmanager
async def open_watched_house(
    folder: Path, redis_url: str, postgres_dsn: str
) -> AsyncIterator[WatchedHouse]:
    """Everything, with users at it; ended with the block."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        settings = {
            "KUJI_MARKS_FOLDER": str(folder / "marks"),
            "KUJI_LOGIN_FAILURES": "5",
            "KUJI_REFRESH_GRACE_S": "0.01",
            "KUJI_DRAIN_S": "1",
        }
        house = await enter(open_house(folder, redis_url, postgres_dsn, **settings))
        edge = await enter(_edge_of(house, folder))
        admin, user = await house.admin_token(), await house.register("alice")
        activity_id, _ = await open_activity(house, admin, UNITS)
        watched = WatchedHouse(
            house,
            await enter(watching(folder, house.metrics, edge.status)),
            await enter(httpx.AsyncClient(base_url=edge.url, timeout=_CALL_S)),
            folder / "marks",
            postgres_dsn,
            activity_id,
            user,
            admin,
        )
        calls = [
            watched.meanwhile(partial(watched.draw, activity_id), 0.03),
            watched.meanwhile(watched.call_edge, 0.1),
            watched.meanwhile(watched.read, 0.1),
            watched.meanwhile(watched.log_in, 0.3),
        ]
        await enter(going(*calls))
        yield watched


def _old_certificate(folder: Path) -> Path:
    """Of an authority that the edge trusts; it expires within three days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=100))
        .not_valid_after(now + timedelta(days=3))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "old.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return file


@asynccontextmanager
async def _edge_of(house: House, folder: Path) -> AsyncIterator[Edge]:
    traces = TraceSettings(
        exporter_otlp_endpoint=f"https://localhost:{free_port()}",
        exporter_otlp_certificate=str(_old_certificate(folder)),
        traces_sampler="always_off",
    )
    edge = Edge(
        "127.0.0.1",
        free_port(),
        folder / "admin.sock",
        {name: [house.addresses[name]] for name in CLUSTERS},
        "",
        status=f"127.0.0.1:{free_port()}",
        traces=traces,
    )
    (folder / "edge").mkdir()
    child = Child(envoy(edge, folder / "edge", folder / "envoy.log"))
    try:
        await child.wait_until_ready(partial(is_serving, edge))
        yield edge
    finally:
        stop([child], timeout_s=10)


@asynccontextmanager
async def stopped(pid: int) -> AsyncIterator[None]:
    """A process stands still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)

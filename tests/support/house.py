"""Every service as a process of its own, between proxies to a real Redis and a real Postgres."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.admin.v1 import admin_pb2, admin_pb2_grpc, goods_pb2, goods_pb2_grpc
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.blindbox.v1 import blindbox_pb2_grpc, records_pb2_grpc
from kuji.draw.v1 import draw_pb2_grpc
from kuji.history.v1 import history_pb2_grpc
from redis.asyncio import Redis

from services.pool.store.keys import STATE, key
from stack.home import SECRETS_OF_PART, Home
from stack.ports import free_port
from stack.processes import ROOT, Child, Program, stop
from tests.support.proxy import Proxy, proxying

SERVICES = ("auth", "draw", "admin", "history", "recorder")
_STOP_S = 10
_OPENED_S = 60.0
_QUICK = {
    "KUJI_ARGON2_MEMORY_KIB": "64",
    "KUJI_SWEEP_EVERY_S": "0.2",
    "KUJI_SWEEP_AFTER_S": "0.5",
    "KUJI_AUDIT_EVERY_S": "0.5",
    "KUJI_WATCH_EVERY_S": "0.2",
    "KUJI_FINISH_EVERY_S": "0.5",
    "KUJI_KEY_RELOAD_S": "0.5",
    "KUJI_REDIS_TIMEOUT_S": "1",
    "KUJI_POSTGRES_TIMEOUT_S": "2",
}


@dataclass
class House:
    """
    What runs.

    Args:
        redis_gate: What all services reach Redis by.
        postgres_gate: Likewise Postgres.
        redis_url: Of Redis itself, past the gate.
        redis: A client of it.
        postgres: Likewise.
        children: By service.
        channels: By service.
        health: Likewise, to the listener that tells health alone.
        addresses: host:port of each service.
        metrics: Where each shows its metrics, likewise.
        secret: The service secret.
    """

    redis_gate: Proxy
    postgres_gate: Proxy
    redis_url: str
    redis: Redis
    postgres: asyncpg.Pool
    children: dict[str, Child]
    channels: Mapping[str, grpc.aio.Channel]
    health: Mapping[str, grpc.aio.Channel]
    addresses: Mapping[str, str]
    metrics: Mapping[str, str]
    secrets: Mapping[str, str]

    def stub(self, service: str) -> Any:
        """A stub, by the name of its service within kuji."""
        kinds: dict[str, tuple[Any, str]] = {
            "Auth": (auth_pb2_grpc.AuthServiceStub, "auth"),
            "Draw": (draw_pb2_grpc.DrawServiceStub, "draw"),
            "BlindBox": (blindbox_pb2_grpc.BlindBoxServiceStub, "draw"),
            "Admin": (admin_pb2_grpc.AdminServiceStub, "admin"),
            "Goods": (goods_pb2_grpc.GoodsServiceStub, "admin"),
            "History": (history_pb2_grpc.HistoryServiceStub, "history"),
            "Records": (records_pb2_grpc.BlindBoxRecordServiceStub, "history"),
        }
        kind, process = kinds[service]
        return kind(self.channels[process])

    async def service_token(self) -> str:
        """What a shop calls with."""
        request = auth_pb2.IssueServiceTokenRequest(
            service="shop", secret=self.secrets["KUJI_SERVICE_SECRET"]
        )
        issued = await self.stub("Auth").IssueServiceToken(request, timeout=10)
        return str(issued.access_token)

    async def admin_token(self) -> str:
        """The administrator's."""
        request = auth_pb2.AdminLoginRequest(
            username="admin", password=self.secrets["KUJI_ADMIN_PASSWORD"]
        )
        session = (await self.stub("Auth").AdminLogin(request, timeout=10)).session
        return str(session.access_token)

    async def register(self, name: str) -> auth_pb2.Session:
        """A fresh user's session."""
        request = auth_pb2.RegisterRequest(username=name, password="correct horse")
        session: auth_pb2.Session
        session = (await self.stub("Auth").Register(request, timeout=10)).session
        return session

    async def unrecorded(self) -> int:
        """Draws that the recorder has not written yet."""
        rows = await self.postgres.fetch("SELECT id, recorded_seq FROM pools")
        drawn = [await self.redis.hget(key(row["id"], STATE), "seq") for row in rows]
        return sum(
            int(seq or 0) - row["recorded_seq"] for seq, row in zip(drawn, rows, strict=True)
        )

    async def halted(self) -> list[str]:
        """Why pools are halted."""
        rows = await self.postgres.fetch(
            "SELECT halted_reason FROM pools WHERE halted_reason <> ''"
        )
        return [row["halted_reason"] for row in rows]

    def errors(self) -> list[str]:
        """What the services' logs call an error."""
        lines = [
            line
            for child in self.children.values()
            for line in child.program.log.read_text().splitlines()
        ]
        return [
            line for line in lines if '"level": "error"' in line or line.startswith("Traceback")
        ]

    async def run_from(self, tree: Path, *services: str) -> None:
        """End these processes, and start them anew from the source in *tree*."""
        ended = [self.children[service] for service in services]
        await asyncio.to_thread(stop, ended, _STOP_S)
        begun = [Child(_moved(child.program, tree)) for child in ended]
        self.children.update(zip(services, begun, strict=True))
        for child in begun:
            address = (child.program.environment or {})["KUJI_LISTEN"]
            await child.wait_until_ready(partial(is_serving, address))

    @asynccontextmanager
    async def stopped(self, service: str) -> AsyncIterator[None]:
        """A service's process, stopped as by SIGSTOP meanwhile."""
        os.kill(self.children[service].pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.children[service].pid, signal.SIGCONT)


async def is_serving(address: str) -> bool:
    """Whether the process at *address* is healthy."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=1)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def open_house(
    folder: Path, redis_url: str, postgres_dsn: str, tree: Path = ROOT, /, **settings: str
) -> AsyncIterator[House]:
    """
    All services, healthy; ended with the block, each by its own pid.

    Args:
        tree: The source that they run from.
        settings: What they are told besides.
    """
    redis_at, postgres_at = urlsplit(redis_url), urlsplit(postgres_dsn)
    addresses = {service: f"127.0.0.1:{free_port()}" for service in SERVICES}
    health_at = {service: f"127.0.0.1:{free_port()}" for service in SERVICES}
    metrics_at = {service: f"127.0.0.1:{free_port()}" for service in SERVICES}
    secrets = Home(folder).secrets()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        redis_gate = await enter(proxying("127.0.0.1", int(redis_at.port or 0)))
        postgres_gate = await enter(proxying(str(postgres_at.hostname), int(postgres_at.port or 0)))
        shared = {
            **{name: text for name, text in os.environ.items() if not name.startswith("KUJI_")},
            "KUJI_POSTGRES_DSN": postgres_gate.instead_of(postgres_dsn),
            "KUJI_REDIS_URL": f"redis://127.0.0.1:{redis_gate.port}/0",
            "KUJI_KEYS_FILE": str(folder / "keys.json"),
            **{f"KUJI_{name.upper()}_ADDRESS": at for name, at in addresses.items()},
            **_QUICK,
            **settings,
        }
        children = {
            service: Child(
                _moved(
                    _program(
                        service,
                        addresses[service],
                        folder,
                        {
                            **shared,
                            "KUJI_HEALTH_LISTEN": health_at[service],
                            "KUJI_METRICS_LISTEN": metrics_at[service],
                        },
                        secrets,
                    ),
                    tree,
                )
            )
            for service in SERVICES
        }
        # In a thread: the gates, by which they say goodbye to the stores, stand still otherwise.
        stack.push_async_callback(lambda: asyncio.to_thread(stop, list(children.values()), _STOP_S))
        for service, child in children.items():
            await child.wait_until_ready(partial(is_serving, addresses[service]))
        yield House(
            redis_gate,
            postgres_gate,
            redis_url,
            await enter(Redis.from_url(redis_url)),
            await enter(
                asyncpg.create_pool(
                    postgres_dsn,
                    min_size=0,
                    max_size=4,
                    server_settings={"application_name": "house"},
                )
            ),
            children,
            {
                service: await enter(grpc.aio.insecure_channel(address))
                for service, address in addresses.items()
            },
            {
                service: await enter(grpc.aio.insecure_channel(address))
                for service, address in health_at.items()
            },
            addresses,
            metrics_at,
            secrets,
        )


def _program(
    service: str, address: str, folder: Path, shared: dict[str, str], secrets: dict[str, str]
) -> Program:
    names = SECRETS_OF_PART.get(service, ())
    own = {name: secrets[name] for name in names if name in secrets}
    command = [sys.executable, "-m", f"services.{service}"]
    environment = {**shared, **own, "KUJI_LISTEN": address}
    return Program(service, command, folder / f"{service}.log", environment)


def _moved(program: Program, tree: Path) -> Program:
    if tree == ROOT:
        return program
    paths = os.pathsep.join([str(tree), str(tree / "gen")])
    environment = {**(program.environment or {}), "PYTHONPATH": paths}
    return replace(program, folder=tree, environment=environment)


async def open_activity(house: House, admin: str, units: int) -> tuple[int, int]:
    """
    An ongoing activity with one prize, won by one draw in two: its id, and the prize's.

    Where a call does not come through on a busy machine, its outcome is unknown: another activity.
    """
    async with asyncio.timeout(_OPENED_S):
        while True:
            try:
                return await _open_activity(house, admin, units)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise


async def _open_activity(house: House, admin: str, units: int) -> tuple[int, int]:
    stub, metadata = house.stub("Admin"), (("authorization", f"Bearer {admin}"),)
    made = await stub.CreateActivity(
        admin_pb2.CreateActivityRequest(name="Spring"), timeout=10, metadata=metadata
    )
    activity_id = made.activity.activity_id
    prize = await stub.CreatePrize(
        admin_pb2.CreatePrizeRequest(
            activity_id=activity_id,
            name="Bear",
            total_count=units,
            probability=0.5,
            is_enabled=True,
        ),
        timeout=10,
        metadata=metadata,
    )
    await stub.UpdateActivity(
        admin_pb2.UpdateActivityRequest(activity_id=activity_id, status="ongoing"),
        timeout=10,
        metadata=metadata,
    )
    return activity_id, prize.prize.prize_id


async def open_goods(house: House, admin: str) -> int:
    """Infinite goods with one item, opened: their id."""
    stub, metadata = house.stub("Goods"), (("authorization", f"Bearer {admin}"),)
    goods = await stub.CreateGoods(
        goods_pb2.CreateGoodsRequest(title="Box", type="infinite", price="9.90", on_shelf=True),
        timeout=10,
        metadata=metadata,
    )
    goods_id = goods.goods.goods_id
    shang = await stub.CreateShang(
        goods_pb2.CreateShangRequest(goods_id=goods_id, title="A"), timeout=10, metadata=metadata
    )
    await stub.CreateGoodsItem(
        goods_pb2.CreateGoodsItemRequest(
            goods_id=goods_id, shang_id=shang.shang.shang_id, title="Mug", stock=1_000_000
        ),
        timeout=10,
        metadata=metadata,
    )
    await stub.OpenBoxes(
        goods_pb2.OpenBoxesRequest(goods_id=goods_id, count=1), timeout=10, metadata=metadata
    )
    return int(goods_id)

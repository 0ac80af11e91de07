"""
No prize has more winners than units, whatever storms it: real processes throughout.

KUJI_STORM_DRAWS sets how many draws a storm makes (`make chaos`: 20 000), and asks for every case.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kuji.draw.v1 import pool_pb2

from stack.ports import free_port
from stack.processes import Child, Program, stop
from tests.chaos import storm
from tests.chaos.client import Order
from tests.support.admin import FakeAuth, auth_server
from tests.support.draw_service import SEED_KEY, Activity, World, own_valkey
from tests.support.draws import CODE_KEY
from tests.support.history import eventually

DRAWS = int(os.environ.get("KUJI_STORM_DRAWS", "2000"))
UNITS = 100
PPB = 1_000_000_000
STOP_S = 10


async def is_serving(address: str) -> bool:
    """Whether the process at *address* is healthy."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=1)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _program(module: str, address: str, folder: Path, **variables: str) -> Program:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("KUJI_")}
    environment = {**inherited, "KUJI_LISTEN": address, **variables}
    log = folder / f"{module}-{address.rpartition(':')[2]}.log"
    return Program(module, [sys.executable, "-m", module], log, environment)


@asynccontextmanager
async def processes(*programs: Program) -> AsyncIterator[None]:
    """*programs*, running and healthy."""
    children: list[Child] = []
    try:
        children.extend(Child(program) for program in programs)  # those that start, if one fails
        for child in children:
            assert child.program.environment is not None
            address = child.program.environment["KUJI_LISTEN"]
            await child.wait_until_ready(partial(is_serving, address))
        yield
    finally:
        stop(children, STOP_S)


class Cluster:
    """
    Two draw processes and a recorder over a real Redis and Postgres.

    Args:
        addresses: host:port of the draw processes.
        world: Callers of them.
    """

    def __init__(self, addresses: list[str], world: World, folder: Path) -> None:
        self.addresses = addresses
        self.world = world
        self.folder = folder

    async def until_recorded(self, activity: Activity, seq: int) -> None:
        """Return once the pool's ledger is in Postgres up to *seq*."""

        async def is_recorded() -> bool:
            found = await self.world.postgres.fetchval(
                "SELECT recorded_seq FROM pools WHERE id = $1", activity.pool_id
            )
            return bool(found == seq)

        await eventually(is_recorded, timeout_s=60)

    async def verified(self, activity: Activity) -> int:
        """End the activity; once its seed is revealed, replay its ledger: the draws that follow."""
        activity.config.status = pool_pb2.POOL_STATUS_ENDED
        await self.world.publish(activity)

        async def is_revealed() -> bool:
            reveals = "SELECT count(*) FROM pool_reveals WHERE pool_id = $1"
            return bool(await self.world.postgres.fetchval(reveals, activity.pool_id))

        await eventually(is_revealed, timeout_s=60)
        return await storm.replayed(self.world.postgres, activity.pool_id)


@pytest.fixture
async def cluster(postgres_dsn: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """The processes, and nothing drawn yet."""
    auth = FakeAuth()  # type: ignore[abstract]  # the methods that verifiers call
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    async with auth_server(auth) as auth_address, own_valkey(tmp_path) as valkey:
        stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": valkey.url}
        keys = {"KUJI_SEED_KEY": SEED_KEY, "KUJI_CODE_KEY": CODE_KEY}
        secrets = {**keys, "KUJI_AUTH_ADDRESS": auth_address}
        draws = [
            _program("services.draw", address, tmp_path, **stores, **secrets)
            for address in addresses
        ]
        recorder = _program("services.recorder", f"127.0.0.1:{free_port()}", tmp_path, **stores)
        async with (
            processes(*draws, recorder),
            asyncpg.create_pool(postgres_dsn, min_size=0) as postgres,
            grpc.aio.insecure_channel(addresses[0]) as one,
            grpc.aio.insecure_channel(addresses[1]) as two,
        ):
            world = World(auth, auth_address, postgres, addresses, [one, two])
            yield Cluster(addresses, world, tmp_path)


CASES = {
    "half, sent twice": (PPB // 2, 2),
    "certain, sent twice": (PPB, 2),
    "half, sent once": (PPB // 2, 1),
    "certain, sent once": (PPB, 1),
}
CHOSEN = list(CASES)[: None if storm.IS_FULL else 1]


@pytest.mark.parametrize(("chance", "sends"), [CASES[name] for name in CHOSEN], ids=CHOSEN)
async def test_units_are_won_exactly_once_when_many_processes_storm_one_prize(
    cluster: Cluster, chance: int, sends: int
) -> None:
    """L3, X1, X2, X3: 100 units give 100 winners, one result a request, Postgres the same."""
    activity = await cluster.world.activity((UNITS, chance))
    token = cluster.world.auth.token(0, "storm", "service")
    order = Order(cluster.addresses, token, activity.activity_id, 1, DRAWS, sends, "")
    results = storm.one_result_each(await storm.run_clients(order, cluster.folder), sends)
    assert list(range(1, DRAWS + 1)) == sorted(results)
    codes = storm.winners_of(results)
    assert (UNITS, UNITS) == (len(codes), codes.total())
    assert [0] == await cluster.world.left(activity)
    await cluster.until_recorded(activity, DRAWS)
    assert results == await storm.recorded(cluster.world.postgres, activity.pool_id)
    assert storm.Counts(DRAWS, UNITS, DRAWS, UNITS, UNITS, 0) == await storm.counts(
        cluster.world.postgres, activity.pool_id
    )
    assert DRAWS == await cluster.verified(activity)

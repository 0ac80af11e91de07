"""Draws confirmed by replica: what was answered is on another server as well."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.errors import UnavailableError
from services.common.status import error_info_of
from services.pool.ledger.entries import DrawEntry, decode_entry
from services.pool.store.keys import ledger_key
from services.pool.store.replicas import Replicas
from tests.support.draw_service import Activity, Valkey, World, open_world, own_valkey, told
from tests.support.history import eventually

SURE = 1_000_000_000
REPLICA, STORE = pool_pb2.CONFIRM_REPLICA, pool_pb2.CONFIRM_STORE


class Pair:
    """Two servers of one test's own; the second follows the first once it is told to."""

    def __init__(self, primary: Valkey, other: Valkey) -> None:
        self.primary, self.other = primary, other

    async def attach(self) -> None:
        """Let the second follow the first; return when it is up to date."""
        host, port = "127.0.0.1", self.primary.url.rpartition(":")[2].partition("/")[0]
        async with Redis.from_url(self.primary.url) as redis:
            await redis.config_set("repl-diskless-sync-delay", 0)  # for more replicas to come
        async with Redis.from_url(self.other.url) as redis:
            await redis.execute_command("REPLICAOF", host, port)  # type: ignore[no-untyped-call]

            async def follows() -> bool:
                return bool((await redis.info("replication"))["master_link_status"] == "up")

            await eventually(follows)

    async def promote(self) -> None:
        """Let the second be on its own."""
        async with Redis.from_url(self.other.url) as redis:
            await redis.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two servers that do not know of each other yet."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(own_valkey(tmp_path / name)) for name in ("a", "b")
        ]
        yield Pair(*servers)


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str, pair: Pair) -> AsyncIterator[World]:
    """A draw service on the first; it waits half a second for replicas."""
    settings = {"redis_timeout_s": 1.0}
    async with open_world(postgres, postgres_dsn, pair.primary.url, **settings) as world:
        yield world


async def sentence_of(call: Any) -> str:
    """Reason and sentence of a call that fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info = error_info_of(caught.value)
    return f"{info.reason if info else ''}: {caught.value.details()}"


async def ids_in(url: str, activity: Activity) -> set[str]:
    """The draw ids that a server has."""
    async with Redis.from_url(url) as redis:
        raw: Any = await redis.xrange(ledger_key(activity.pool_id))
    entries = [decode_entry(*one) for one in raw]
    return {
        f"{activity.pool_id}-{seq}"
        for entry in entries
        if isinstance(entry, DrawEntry)
        for seq in range(entry.first_seq, entry.last_seq + 1)
    }


async def test_answered_draws_are_on_the_replica_when_the_primary_is_lost(
    world: World, pair: Pair
) -> None:
    """Killed with its disk: whatever was answered, the other has."""
    await pair.attach()
    activity = await world.activity((500, SURE // 2), confirm=REPLICA)
    elements = [(activity.activity_id, user, "a") for user in range(1, 201)]
    answered = {told(outcome) for outcome in await world.service().batch(*elements)}
    answered.add((await world.user(300).draw(activity.activity_id, "a")).draw_id)
    pair.primary.kill()
    await pair.promote()
    assert 201 == len(answered & await ids_in(pair.other.url, activity))


async def test_draws_are_unavailable_without_a_replica_and_resolved_once_there_is_one(
    world: World, pair: Pair
) -> None:
    """A clear sentence, to the draw and to its replay; the same id then tells the one draw."""
    activity = await world.activity((9, SURE), confirm=REPLICA)
    draw = world.user(1).draw
    for _ in range(2):
        sentence = await sentence_of(draw(activity.activity_id, "a"))
        assert sentence.startswith("UNAVAILABLE: No replica of the store has confirmed it")
    plain = await world.activity((9, SURE))
    assert (await draw(plain.activity_id, "a")).won
    await pair.attach()

    async def is_told() -> bool:
        try:
            return bool((await draw(activity.activity_id, "a")).replayed)
        except grpc.aio.AioRpcError:
            return False

    await eventually(is_told)
    assert [8] == await world.left(activity)


async def test_replica_that_hangs_confirms_nothing(world: World, pair: Pair) -> None:
    """Connected and silent: the wait is bounded; afterwards all is told. "store" needs none."""
    await pair.attach()
    activity = await world.activity((9, SURE), confirm=REPLICA)
    draw = world.user(1).draw
    os.kill(pair.other.pid, signal.SIGSTOP)
    try:
        assert (await sentence_of(draw(activity.activity_id, "a"))).startswith("UNAVAILABLE: No")
        activity.config.confirm = STORE
        await world.publish(activity)

        async def draws_alone() -> bool:
            try:
                return bool((await draw(activity.activity_id, "b")).won)
            except grpc.aio.AioRpcError:
                return False

        await eventually(draws_alone)
    finally:
        os.kill(pair.other.pid, signal.SIGCONT)


class OldRedis(Redis):
    """A client of a server that has no WAITAOF, as Redis before 7.2."""

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Any:
        """See Redis."""
        pipe = super().pipeline(transaction, shard_hint)
        send = pipe.execute_command

        def execute_command(*command: Any, **options: Any) -> Any:
            known = command[0] != "WAITAOF"
            return send(*(command if known else ("NO_SUCH_COMMAND",)), **options)

        pipe.execute_command = execute_command  # type: ignore[method-assign]
        return pipe


async def test_older_server_confirms_by_what_its_replicas_have_received(pair: Pair) -> None:
    """WAIT, where there is no WAITAOF; and without a replica nothing is confirmed there either."""
    async with OldRedis.from_url(pair.primary.url) as redis:
        with pytest.raises(UnavailableError):
            await Replicas(redis, 1, 0.2).confirm(1)
        await pair.attach()
        await Replicas(redis, 1, 5).confirm(1)

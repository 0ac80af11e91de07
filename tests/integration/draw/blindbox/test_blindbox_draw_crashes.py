"""Orders and cards whose process was killed in the middle end drawn or released, never between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.server.health import LIVE
from tests.support.admin import auth_server
from tests.support.blindbox import Box, ItemSpec, card_status, insert_card
from tests.support.blindbox_draw import Customer, Mall, drew, open_mall, settled_books, told
from tests.support.draw_process import DrawProcess, draw_process
from tests.support.history import eventually
from tests.support.proxy import proxying

OWNER = 7
PAUSED = pool_pb2.POOL_STATUS_PAUSED
LAST = ItemSpec(1, is_last_prize=True)
SWEEPING = {"sweep_every_s": 0.05, "sweep_after_s": 0.0}
CALM = {
    "KUJI_SWEEP_EVERY_S": "3600",
    "KUJI_WATCH_EVERY_S": "3600",
    "KUJI_AUDIT_EVERY_S": "3600",
    "KUJI_REDIS_TIMEOUT_S": "60",
}
BRIEF = {**CALM, "KUJI_REDIS_TIMEOUT_S": "2"}  # that long it asks for the time first


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service beside the processes that are killed; it sweeps nothing."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url) as mall:
        yield mall


@asynccontextmanager
async def swallowing() -> AsyncIterator[str]:
    """The URL of a Redis that takes everything in and does nothing."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    finally:
        server.close()


@asynccontextmanager
async def process_of(
    mall: Mall, folder: Path, dsn: str, redis_url: str, **variables: str
) -> AsyncIterator[tuple[DrawProcess, Customer]]:
    """A draw process, and an administrator with cards who is its customer."""
    async with AsyncExitStack() as stack:
        auth_address = await stack.enter_async_context(auth_server(mall.world.auth))
        stores = {"KUJI_POSTGRES_DSN": dsn, "KUJI_REDIS_URL": redis_url}
        process = await stack.enter_async_context(
            # Without its store it is not ready; it answers all the same.
            draw_process(folder, LIVE, KUJI_AUTH_ADDRESS=auth_address, **stores, **variables)
        )
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(process.address))
        yield process, Customer(channel, mall.world.auth.token(OWNER, "user-7", "admin"))


async def killed_during(
    process: DrawProcess, call: Awaitable[object], when: Callable[[], Awaitable[bool]]
) -> None:
    """Kill *process* amid *call*, once *when* holds."""
    calling = asyncio.ensure_future(told(call))
    await eventually(when)
    process.kill()
    assert "StatusCode.UNAVAILABLE" in await calling


class Case:
    """An order, or a card, for one ticket of *box*."""

    def __init__(self, mall: Mall, box: Box, item_card_id: int) -> None:
        self.mall = mall
        self.box = box
        self.card = item_card_id
        self.order_num = f"card:{item_card_id}" if item_card_id else "a"
        self.request_id = (self.order_num if item_card_id else f"order:{self.order_num}").encode()

    async def sent_to(self, customer: Customer) -> str:
        """Send it; the id of its draw."""
        if not self.card:
            return drew(await customer.order(self.box, self.order_num, OWNER))[0]
        result = await customer.use_card(self.box.goods_id, self.card, "r", 1)
        return result.proof.draw_id

    async def is_reserved(self) -> bool:
        """Whether it is, already."""
        query = "SELECT status FROM orders WHERE order_num = $1"
        return bool("reserved" == await self.mall.postgres.fetchval(query, self.order_num))

    async def is_in_the_ledger(self) -> bool:
        """Whether its draw is, already."""
        names = {draw.request_id for draw in await self.mall.ledger(self.box)}
        return self.request_id in names


@pytest.fixture(params=["order", "card"])
async def case(request: pytest.FixtureRequest, mall: Mall) -> Case:
    """For the first ticket of a box."""
    box = await mall.box(ItemSpec(5), LAST)
    card = await insert_card(mall.postgres, OWNER) if request.param == "card" else 0
    return Case(mall, box, card)


async def swept(mall: Mall, dsn: str, redis_url: str, case: Case) -> str:
    """What has become of it once a service with a sweeper was there."""
    async with open_mall(mall.redis, mall.postgres, dsn, redis_url, **SWEEPING):

        async def is_settled() -> bool:
            return not await case.is_reserved()

        await eventually(is_settled)
    return await mall.status(case.order_num)


@pytest.mark.parametrize("paused", [False, True], ids=["on the shelf", "taken off the shelf"])
async def test_crash_between_reservation_and_draw_ends_in_one_draw_or_none(
    mall: Mall, case: Case, paused: bool, tmp_path: Path, postgres_dsn: str, redis_url: str
) -> None:
    """X1, P10: the sweeper draws, or finds that it cannot and releases it; then it is free."""
    async with (
        swallowing() as nowhere,
        process_of(mall, tmp_path, postgres_dsn, nowhere, **BRIEF) as (process, customer),
    ):
        await killed_during(process, case.sent_to(customer), case.is_reserved)
    assert (True, False) == (await case.is_reserved(), await case.is_in_the_ledger())
    if paused:
        await mall.publish(case.box, status=PAUSED)
    expected = "released" if paused else "drawn"
    assert expected == await swept(mall, postgres_dsn, redis_url, case)
    assert {expected: 1} == await settled_books(mall, case.box)
    assert [4 + paused, 1] == await mall.left(case.box)
    if case.card:
        assert ("unused" if paused else "used") == await card_status(mall.postgres, case.card)
    if not paused:
        assert f"{case.box.pool_id}-1" == await case.sent_to(mall.user(OWNER, role="admin"))


@pytest.mark.parametrize("paused", [False, True], ids=["on the shelf", "taken off the shelf"])
async def test_crash_between_draw_and_its_note_ends_in_that_draw(
    mall: Mall, case: Case, paused: bool, tmp_path: Path, postgres_dsn: str, redis_url: str
) -> None:
    """X1, X2: what the ledger has stays, whatever has become of the goods meanwhile."""
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    async with proxying("127.0.0.1", port) as proxy:
        held = f"redis://127.0.0.1:{proxy.port}/0"
        async with process_of(mall, tmp_path, postgres_dsn, held, **CALM) as (process, customer):
            await customer.order(case.box, "before", OWNER)  # so that it is connected
            proxy.hang_on(case.request_id)
            await killed_during(process, case.sent_to(customer), case.is_in_the_ledger)
    assert await case.is_reserved()
    if paused:
        await mall.publish(case.box, status=PAUSED)
    assert "drawn" == await swept(mall, postgres_dsn, redis_url, case)
    assert {"drawn": 2} == await settled_books(mall, case.box)
    assert [3, 1] == await mall.left(case.box)
    assert f"{case.box.pool_id}-2" == await case.sent_to(mall.user(OWNER, role="admin"))
    if case.card:
        assert "used" == await card_status(mall.postgres, case.card)


@pytest.mark.parametrize("ending", ["killed", "stopped"])
async def test_orders_and_cards_keep_their_items_when_a_process_ends_amid_a_rush(
    mall: Mall, ending: str, tmp_path: Path, postgres_dsn: str, redis_url: str
) -> None:
    """X1, X2: whoever was answered has what it was told; the others have their items, or none."""
    box = await mall.box(ItemSpec(100), ItemSpec(300), LAST)
    cards = [await insert_card(mall.postgres, OWNER) for _ in range(50)]
    quick = {"KUJI_SWEEP_EVERY_S": "0.05", "KUJI_SWEEP_AFTER_S": "0.2"}
    answered: dict[str, list[str]] = {}

    async def buy(customer: Customer, nth: int) -> list[str]:
        if nth < len(cards):
            return [(await customer.use_card(box.goods_id, cards[nth], "r")).proof.draw_id]
        return drew(await customer.order(box, f"o{nth}", nth, 1 + nth % 4))

    async def rush(customer: Customer, nths: range) -> None:
        for nth in nths:
            try:
                answered[f"o{nth}"] = await buy(customer, nth)
            except grpc.aio.AioRpcError:
                continue

    async def some_are_drawn() -> bool:
        return len(answered) > 20

    async with process_of(mall, tmp_path, postgres_dsn, redis_url, **quick) as (process, customer):
        rushing = [asyncio.ensure_future(rush(customer, range(at, 150, 10))) for at in range(10)]
        await eventually(some_are_drawn)
        if ending == "killed":
            process.kill()
        else:
            process.ask_to_stop()
            assert 0 == await process.exit_code()
        await asyncio.gather(*rushing)
    assert 20 < len(answered) < 150
    async with open_mall(mall.redis, mall.postgres, postgres_dsn, redis_url, **SWEEPING) as later:
        buyer = later.user(OWNER, role="admin")
        again = {f"o{nth}": await buy(buyer, nth) for nth in range(150)}
    assert answered == {order_num: again[order_num] for order_num in answered}
    assert {"drawn": 150} == await settled_books(mall, box)

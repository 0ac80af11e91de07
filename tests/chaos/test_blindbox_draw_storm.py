"""
A box of 80 tickets, bought empty by 200 orders of 1 to 10 at once: real processes throughout.

Several client processes send the orders to two draw processes; one of these is killed in the worse
half of the cases, and everything that was not answered is sent again to the other.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import grpc
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from stack.processes import Child, Program, stop
from tests.chaos import storm
from tests.chaos.box_client import Given, Outcome, Rush, order_num_of, read_outcomes
from tests.support.admin import FakeAuth, auth_server
from tests.support.blindbox import Box, ItemSpec, Shelf
from tests.support.blindbox_draw import Mall, settled_books
from tests.support.draw_process import DrawProcess, draw_process
from tests.support.draw_service import World, own_valkey
from tests.support.history import eventually, recording

ORDERS = 200
SEED = 20
LEVELS = "ABCDEF"
STOCKS = (1, 2, 3, 4, 20, 50)
TICKETS = sum(STOCKS)
ENDED = pool_pb2.POOL_STATUS_ENDED
_STOP_S = 10
_QUICK = {
    "KUJI_SWEEP_EVERY_S": "0.1",
    "KUJI_SWEEP_AFTER_S": "0.5",
    "KUJI_WATCH_EVERY_S": "0.1",
}


@dataclass
class Market:
    """
    Two draw processes and a recorder over a real Redis and Postgres.

    Args:
        mall: Customers of the processes.
        folder: For logs and outcomes.
    """

    processes: Sequence[DrawProcess]
    mall: Mall
    folder: Path


@pytest.fixture
async def market(
    postgres_dsn: str, postgres: asyncpg.Pool, tmp_path: Path
) -> AsyncIterator[Market]:
    """The processes, and nothing on the shelf yet."""
    auth = FakeAuth()  # type: ignore[abstract]  # the methods that verifiers call
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        auth_address, valkey = await enter(auth_server(auth)), await enter(own_valkey(tmp_path))
        redis = await enter(Redis.from_url(valkey.url))
        told = {
            "KUJI_POSTGRES_DSN": postgres_dsn,
            "KUJI_REDIS_URL": valkey.url,
            "KUJI_AUTH_ADDRESS": auth_address,
            **_QUICK,
        }
        processes = [await enter(draw_process(tmp_path, **told)) for _ in range(2)]
        await enter(recording(postgres_dsn, valkey.url))
        addresses = [one.address for one in processes]
        channels = [await enter(grpc.aio.insecure_channel(address)) for address in addresses]
        world = World(auth, auth_address, postgres, addresses, channels)
        yield Market(processes, Mall(world, redis), tmp_path)


async def opened(mall: Mall) -> tuple[Shelf, Box]:
    """A box of levels A to F, and a last prize."""
    items = [ItemSpec(stock, title=LEVELS[n], shang=n) for n, stock in enumerate(STOCKS)]
    last = ItemSpec(1, title="The last one", is_last_prize=True)
    shelf = await mall.goods(*items, last, shangs=tuple(LEVELS))
    return shelf, await mall.open_box(shelf)


def rushes(market: Market, box: Box, sends: int) -> list[Rush]:
    """The orders, dealt out to the clients."""
    sizes = random.Random(SEED)
    orders = [(number, sizes.randint(1, 10)) for number in range(1, ORDERS + 1)]
    return [
        Rush(
            [one.address for one in market.processes],
            market.mall.world.auth.token(0, "rush", "service"),
            box.goods_id,
            box.num,
            orders[client :: storm.CLIENTS],
            sends,
            str(market.folder / f"outcomes-{client}"),
        )
        for client in range(storm.CLIENTS)
    ]


async def ended(clients: Sequence[Child]) -> None:
    """Return when all of *clients* have ended well."""
    for code, client in zip(
        await asyncio.gather(*(client.wait() for client in clients)), clients, strict=True
    ):
        assert code == 0, f"a client ended with code {code}{client.log_end()}"


def one_outcome_each(outcomes: Sequence[Outcome], sends: int) -> dict[int, Outcome]:
    """The one outcome of each order, however often it was sent."""
    found: dict[int, Outcome] = {}
    for outcome in outcomes:
        assert outcome == found.setdefault(outcome.number, outcome)
    assert {sends} == set(Counter(outcome.number for outcome in outcomes).values())
    assert ORDERS == len(found)
    return found


def check_given(shelf: Shelf, given: Sequence[Given]) -> None:
    """All that was given, in the order of drawing: each unit once, each ticket as there were."""
    assert list(range(1, TICKETS + 2)) == [item.seq for item in given]
    units = Counter(item.goods_item_id for item in given)
    assert dict(zip(shelf.item_ids, (*STOCKS, 1), strict=True)) == units
    assert (shelf.item_ids[-1], 1) == (given[-1].goods_item_id, given[-1].luck_no)
    assert TICKETS + 1 == len({item.prize_code for item in given})
    for left, item in zip(range(TICKETS, 0, -1), given[:-1], strict=True):
        assert left == item.odds_total
        assert 1 <= item.luck_no <= left


async def check_records(mall: Mall, box: Box, outcomes: dict[int, Outcome]) -> None:
    """Postgres has for each order what it was told, and nothing for who was refused."""

    async def are_recorded() -> bool:
        count = await mall.postgres.fetchval("SELECT count(*) FROM order_items")
        return bool(TICKETS + 1 == count)

    await eventually(are_recorded)
    rows = await mall.postgres.fetch(
        "SELECT order_num, seq, goodslist_id, prize_code, luck_no"
        " FROM order_items JOIN orders ON orders.id = order_id ORDER BY seq"
    )
    assert sorted(
        (item.seq, order_num_of(number), item.goods_item_id, item.prize_code, item.luck_no)
        for number, outcome in outcomes.items()
        for item in outcome.items
    ) == [(row["seq"], row["order_num"], *tuple(row)[2:]) for row in rows]
    statuses = await mall.postgres.fetch("SELECT order_num, status FROM orders")
    assert {
        order_num_of(number): "released" if outcome.reason else "drawn"
        for number, outcome in outcomes.items()
    } == {row["order_num"]: row["status"] for row in statuses}
    await settled_books(mall, box)


async def verified(mall: Mall, box: Box) -> int:
    """End the box; once its seed is revealed, replay its ledger: the draws that follow."""
    await mall.publish(box, status=ENDED)

    async def is_revealed() -> bool:
        reveals = "SELECT count(*) FROM pool_reveals WHERE pool_id = $1"
        return bool(await mall.postgres.fetchval(reveals, box.pool_id))

    await eventually(is_revealed)
    return await storm.replayed(mall.postgres, box.pool_id)


CASES = {
    "sent twice, a process is killed": (2, True),
    "sent once": (1, False),
    "sent once, a process is killed": (1, True),
    "sent twice": (2, False),
}
CHOSEN = list(CASES)[: None if storm.IS_FULL else 1]


@pytest.mark.parametrize(("sends", "killing"), [CASES[name] for name in CHOSEN], ids=CHOSEN)
async def test_box_is_sold_exactly_once_when_200_orders_rush_it(
    market: Market, sends: int, killing: bool
) -> None:
    """P6, P7, X1, X2, X4: 80 items and one last prize; who was refused got nothing; it verifies."""
    mall = market.mall
    shelf, box = await opened(mall)
    told = rushes(market, box, sends)
    clients: list[Child] = []
    try:
        for number, rush in enumerate(told):
            command = [sys.executable, "-m", "tests.chaos.box_client", rush.to_json()]
            log = market.folder / f"client-{number}.log"
            clients.append(Child(Program("client", command, log)))
        if killing:

            async def some_are_drawn() -> bool:
                return len(await mall.ledger(box)) > 0

            await eventually(some_are_drawn)
            market.processes[1].kill()
        await ended(clients)
    finally:
        stop(clients, _STOP_S)
    answers = [answer for rush in told for answer in read_outcomes(Path(rush.outcomes))]
    outcomes = one_outcome_each(answers, sends)
    assert {"", "SOLD_OUT"} == {outcome.reason for outcome in outcomes.values()}
    for outcome in outcomes.values():
        items = [item for item in outcome.items if item.goods_item_id != shelf.item_ids[-1]]
        assert (0 if outcome.reason else outcome.tickets) == len(items)
    given = sorted(item for outcome in outcomes.values() for item in outcome.items)
    check_given(shelf, given)
    await check_records(mall, box, outcomes)
    assert TICKETS + 1 == await verified(mall, box)

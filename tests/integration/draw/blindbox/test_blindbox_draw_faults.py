"""What becomes of an order when a step fails, comes late, or is crossed by another call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.errors import GoodsOffShelfError, KujiError, UnavailableError
from services.draw.batcher import Batcher
from services.draw.blindbox.cards import CardOrders
from services.draw.blindbox.desk import ATTEMPTS, Desk, Served
from services.draw.blindbox.fulfilment import Fulfilment
from services.draw.blindbox.orders import Orders
from services.draw.blindbox.requests import WantedOrder
from services.draw.blindbox.shelf import Shelf
from services.draw.blindbox.sweeper import Sweeper
from services.draw.code_key import CodeKey
from services.draw.confirmation import Confirmer
from services.draw.guard import MemoryGuard
from services.draw.made import MadeDraws
from services.draw.pools import Pools
from services.pool.rule.fairness import request_digest
from services.pool.rule.terms import Drawing, Intent, Voided
from services.pool.seeds import SeedCipher
from services.pool.store.redis_store import RedisStore
from tests.support.blindbox import Box, ItemSpec
from tests.support.blindbox_draw import Mall, drew, open_mall, settled_books, told
from tests.support.draw_service import SEED_KEY
from tests.support.draws import CODE_KEY, NO_BACKLOG_BOUND
from tests.support.proxy import Proxy, proxying

PAUSED, OPEN = pool_pb2.POOL_STATUS_PAUSED, pool_pb2.POOL_STATUS_OPEN
Step = Callable[[], Awaitable[object]]


async def _at_once() -> None:
    pass


class InterruptedStore(RedisStore):
    """The real store, with what a test does before and after its steps; each once."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis, NO_BACKLOG_BOUND)
        self.steps: dict[str, Step] = {}

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """See PoolStore."""
        await self.steps.pop("before the draw", _at_once)()
        drawing = await super().draw(pool_id, intents)
        await self.steps.pop("after the draw", _at_once)()
        return drawing

    async def void(self, pool_id: int, digest: bytes, draws: int) -> Voided | None:
        """See PoolStore."""
        await self.steps.pop("before the void", _at_once)()
        voided = await super().void(pool_id, digest, draws)
        await self.steps.pop("after the void", _at_once)()
        return voided


class Till:
    """The parts that serve orders, over an interrupted store."""

    def __init__(self, postgres: asyncpg.Pool, redis: Redis) -> None:
        self.store = InterruptedStore(redis)
        pools = Pools(postgres, redis, SeedCipher(SEED_KEY), CodeKey(CODE_KEY))
        batcher = Batcher(self.store, 400, 20_000)
        shelf, orders = Shelf(postgres), Orders(postgres)
        fulfilment = Fulfilment(orders, shelf, pools, batcher, self.store)
        confirmer = Confirmer(postgres, redis, patience_s=2, max_waiting=1000)
        past, guard = MadeDraws(postgres, redis, confirmer), MemoryGuard(redis, 0)
        self._desk = Desk(shelf, orders, CardOrders(postgres), fulfilment, past, confirmer, guard)
        self.sweeper = Sweeper(orders, fulfilment, after_s=0)

    async def order(self, box: Box, order_num: str = "a", count: int = 2) -> Served:
        """Place an order of user 7."""
        return await self._desk.place(
            WantedOrder(order_num, 7, box.goods_id, box.num, count, order_type=0)
        )


@pytest.fixture
async def mall(
    postgres: asyncpg.Pool, postgres_dsn: str, redis_url: str, redis: Redis
) -> AsyncIterator[Mall]:
    """A draw service that nothing interrupts, and that sweeps nothing."""
    async with open_mall(redis, postgres, postgres_dsn, redis_url) as mall:
        yield mall


@pytest.fixture
def till(mall: Mall) -> Till:
    """Another one, interrupted."""
    return Till(mall.postgres, mall.redis)


async def fail() -> None:
    """As a timeout does."""
    raise TimeoutError


def ids(served: Served) -> list[str]:
    """The draw ids of what was given."""
    return [str(item.draw_id) for item in served.items]


async def test_outcome_is_unknown_when_the_draw_is_not_answered(mall: Mall, till: Till) -> None:
    """Before the script or after it: the order is reserved, and the same order again tells."""
    box = await mall.box(ItemSpec(9))
    for step, drawn, in_all in (("before the draw", 0, 2), ("after the draw", 4, 4)):
        till.store.steps = {step: fail}
        with pytest.raises(TimeoutError):
            await till.order(box, step)
        assert ("reserved", drawn) == (await mall.status(step), len(await mall.ledger(box)))
        served = await till.order(box, step)
        assert in_all == len(await mall.ledger(box))
        assert ids(served) == drew(await mall.shop().order(box, step, count=2))
    assert {"drawn": 2} == await settled_books(mall, box)


async def test_call_that_is_cancelled_leaves_an_order_that_the_sweeper_settles(
    mall: Mall, till: Till
) -> None:
    """Whoever hangs up amid the draw finds it done later, once."""
    box = await mall.box(ItemSpec(9))
    for step in ("before the draw", "after the draw"):
        reached, hold = asyncio.Event(), asyncio.Event()

        async def wait(reached: asyncio.Event = reached, hold: asyncio.Event = hold) -> None:
            reached.set()
            await hold.wait()

        till.store.steps = {step: wait}
        calling = asyncio.ensure_future(till.order(box, step))
        await reached.wait()
        calling.cancel()
        await asyncio.wait([calling])
        hold.set()
        assert calling.cancelled()
        await till.sweeper.sweep()
        assert "drawn" == await mall.status(step)
    assert ({"drawn": 2}, [5]) == (await settled_books(mall, box), await mall.left(box))


async def test_outcome_is_unknown_when_the_void_is_not_answered(mall: Mall, till: Till) -> None:
    """Refused, and not known to stay so: reserved, then released, then free to be tried again."""
    box = await mall.box(ItemSpec(9), status=PAUSED)
    for order_num, step in (("a", "before the void"), ("b", "after the void")):
        till.store.steps = {step: fail}
        with pytest.raises(TimeoutError):
            await till.order(box, order_num)
        assert "reserved" == await mall.status(order_num)
        await till.sweeper.sweep()
        row = await mall.row(order_num)
        assert ("released", 1) == (row["status"], row["attempt"])
    await mall.publish(box, status=OPEN)
    assert 2 == len((await till.order(box, "b")).items)
    assert {"drawn": 1, "released": 1} == await settled_books(mall, box)


async def test_order_with_a_void_request_id_is_served_when_it_is_sent_again(
    mall: Mall, till: Till
) -> None:
    """Made void, and the release lost: the same order goes on with the next attempt at once."""
    box = await mall.box(ItemSpec(9), status=PAUSED)
    till.store.steps = {"after the void": fail}
    with pytest.raises(TimeoutError):
        await till.order(box)
    await mall.publish(box, status=OPEN)
    served = await till.order(box)
    row = await mall.row("a")
    assert ("drawn", 2, 1) == (row["status"], row["attempt"], row["first_seq"])
    assert 2 == len(served.items)


async def test_refused_call_answers_what_another_one_drew_for_the_order(
    mall: Mall, till: Till
) -> None:
    """Between its refusal and its void the goods came back, and the same order was served."""
    box = await mall.box(ItemSpec(9), status=PAUSED)
    placed = []

    async def others_draw() -> None:
        await mall.publish(box, status=OPEN)
        placed.append(await mall.shop().order(box, "a", count=2))

    till.store.steps = {"before the void": others_draw}
    served = await till.order(box)
    assert ids(served) == drew(placed[0])
    assert ({"drawn": 1}, [7]) == (await settled_books(mall, box), await mall.left(box))


async def test_draw_under_way_comes_to_nothing_when_its_order_was_released(
    mall: Mall, till: Till
) -> None:
    """What was made void meanwhile draws nothing; its call goes on with the next attempt."""
    box = await mall.box(ItemSpec(9))
    sweeper = Till(mall.postgres, mall.redis).sweeper

    async def released_meanwhile() -> None:
        await mall.publish(box, status=PAUSED)
        await sweeper.sweep()
        assert "released" == await mall.status("a")
        await mall.publish(box, status=OPEN)

    till.store.steps = {"before the draw": released_meanwhile}
    served = await till.order(box)
    row = await mall.row("a")
    assert (2, "order@2:a", 2) == (row["attempt"], row["draw_request_id"], len(served.items))
    assert {"drawn": 1} == await settled_books(mall, box)


async def test_draw_under_way_and_the_sweeper_are_one_draw(mall: Mall, till: Till) -> None:
    """The sweeper was faster: the late call finds its draw done."""
    box = await mall.box(ItemSpec(9))
    till.store.steps = {"before the draw": Till(mall.postgres, mall.redis).sweeper.sweep}
    served = await till.order(box)
    assert [f"{box.pool_id}-1", f"{box.pool_id}-2"] == ids(served)
    assert ({"drawn": 1}, [7]) == (await settled_books(mall, box), await mall.left(box))


async def test_order_that_is_released_under_every_attempt_is_unavailable(
    mall: Mall, till: Till
) -> None:
    """A conflict is retried, so often and no oftener, and never shown as one."""
    box = await mall.box(ItemSpec(9))
    attempts = []

    async def made_void() -> None:
        attempts.append(1)
        digest = await _digest(mall, "a")
        await RedisStore(mall.redis, NO_BACKLOG_BOUND).void(box.pool_id, digest, 2)
        till.store.steps = {"before the draw": made_void}

    till.store.steps = {"before the draw": made_void}
    with pytest.raises(UnavailableError):
        await till.order(box)
    till.store.steps = {}
    assert (ATTEMPTS, "released") == (len(attempts), await mall.status("a"))
    await till.order(box)
    assert {"drawn": 1} == await settled_books(mall, box)


async def _digest(mall: Mall, order_num: str) -> bytes:
    return request_digest(7, (await mall.row(order_num))["draw_request_id"])


@asynccontextmanager
async def behind_a_proxy(dsn: str) -> AsyncIterator[tuple[Proxy, asyncpg.Pool]]:
    """Connections to the database at *dsn* that can be cut; one at a time."""
    server = urlsplit(dsn)
    async with proxying(str(server.hostname), int(server.port or 0)) as proxy:
        there = proxy.instead_of(dsn)
        async with asyncpg.create_pool(there, min_size=0, max_size=1) as pool:
            yield proxy, pool


async def test_answer_does_not_fail_when_its_note_is_lost(mall: Mall, postgres_dsn: str) -> None:
    """It is drawn, whoever notes it: the recorder, or the sweeper."""
    boxes = [await mall.box(ItemSpec(9)) for _ in range(2)]
    async with behind_a_proxy(postgres_dsn) as (proxy, postgres):
        till = Till(postgres, mall.redis)
        for nth, box in enumerate(boxes):
            proxy.lose_reply(b"SET status = 'drawn'")
            served = await till.order(box, f"o{nth}")
            assert (nth + 1, 2) == (proxy.lost_replies, len(served.items))
            assert "reserved" == await mall.status(f"o{nth}")
    await mall.record(boxes[0])
    assert "drawn" == await mall.status("o0")
    await Till(mall.postgres, mall.redis).sweeper.sweep()
    assert [{"drawn": 1}] * 2 == [await settled_books(mall, box) for box in boxes]


async def test_outcome_is_unknown_when_the_release_is_lost(mall: Mall, postgres_dsn: str) -> None:
    """Void and reserved still: told as unknown, since a card could not be used elsewhere yet."""
    box = await mall.box(ItemSpec(9), status=PAUSED)
    async with behind_a_proxy(postgres_dsn) as (proxy, postgres):
        proxy.lose_reply(b"SET status = 'released'")
        with pytest.raises(Exception, match="connection") as lost:
            await Till(postgres, mall.redis).order(box)
    assert not isinstance(lost.value, KujiError)
    assert "reserved" == await mall.status("a")
    till = Till(mall.postgres, mall.redis)
    with pytest.raises(GoodsOffShelfError):
        await till.order(box)
    row = await mall.row("a")
    assert ("released", "GOODS_OFF_SHELF", 2) == (row["status"], row["refusal"], row["attempt"])


async def test_nothing_is_reserved_when_postgres_is_down(
    mall: Mall, redis_url: str, postgres_dsn: str
) -> None:
    """UNAVAILABLE, and nothing is drawn without an order."""
    box = await mall.box(ItemSpec(9))
    server = urlsplit(postgres_dsn)
    async with proxying(str(server.hostname), int(server.port or 0)) as proxy:
        there = proxy.instead_of(postgres_dsn)
        async with open_mall(mall.redis, mall.postgres, there, redis_url) as other:
            await other.shop().order(box, "before")
            await proxy.refuse()
            assert "UNAVAILABLE" == await told(other.shop().order(box, "a"))
            proxy.resume()
            assert 1 == len(await mall.ledger(box))
            await other.shop().order(box, "a")

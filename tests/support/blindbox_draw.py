"""Boxes in a running draw service: their goods, their buyers, and what is left in them."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
from kuji.blindbox.v1 import blindbox_pb2, blindbox_pb2_grpc
from kuji.draw.v1 import pool_pb2
from redis.asyncio import Redis

from services.common.status import error_info_of
from services.pool.ledger.entries import Draw, DrawEntry, Entry, decode_entry
from services.pool.store.keys import ledger_key
from services.recorder.recording import record
from tests.support.blindbox import Box, ItemSpec, Shelf, insert_goods
from tests.support.draw_service import Caller, World, open_world

Placed = blindbox_pb2.PlaceOrderResponse
_COLUMNS = "status, refusal, attempt, draw_request_id, first_seq, places"


class Customer(Caller):
    """A client of the blind boxes with one person's, or one service's, token."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None) -> None:
        super().__init__(channel, token)
        boxes = blindbox_pb2_grpc.BlindBoxServiceStub(channel)
        self._stubs = {**self._stubs, "kuji.blindbox.v1.BlindBoxService": boxes}

    async def order(
        self,
        box: Box,
        order_num: str,
        user_id: int = 7,
        count: int = 1,
        *,
        timeout: float = 15,
        **fields: Any,
    ) -> Placed:
        """An order's result; *fields* say otherwise than the box."""
        given = {"goods_id": box.goods_id, "num": box.num, **fields}
        request = blindbox_pb2.PlaceOrderRequest(
            order_num=order_num, user_id=user_id, count=count, **given
        )
        placed: Placed = await self(request, timeout=timeout)
        return placed

    async def use_card(
        self, goods_id: int, item_card_id: int, request_id: str = "", num: int = 0
    ) -> blindbox_pb2.CardResult:
        """A card's result."""
        request = blindbox_pb2.DrawWithItemCardRequest(
            goods_id=goods_id, item_card_id=item_card_id, num=num, request_id=request_id
        )
        result: blindbox_pb2.CardResult = (await self(request)).result
        return result

    async def probabilities(self, box: Box) -> list[blindbox_pb2.ItemProbability]:
        """Of one draw from *box* at this moment."""
        request = blindbox_pb2.CalculateProbabilitiesRequest(goods_id=box.goods_id, num=box.num)
        return list((await self(request)).probabilities)

    async def inventory(self, box: Box, count: int = 0) -> blindbox_pb2.CheckInventoryResponse:
        """What *box* holds at this moment."""
        request = blindbox_pb2.CheckInventoryRequest(
            goods_id=box.goods_id, num=box.num, count=count
        )
        answer: blindbox_pb2.CheckInventoryResponse = await self(request)
        return answer

    async def validate(self, draw_id: str) -> blindbox_pb2.ValidateDrawResponse:
        """Whether this draw follows."""
        request = blindbox_pb2.ValidateDrawRequest(draw_id=draw_id)
        answer: blindbox_pb2.ValidateDrawResponse = await self(request)
        return answer


@dataclass
class Mall:
    """
    A running draw service that sells blind boxes.

    Args:
        world: The service.
        redis: A client of its store.
    """

    world: World
    redis: Redis

    @property
    def postgres(self) -> asyncpg.Pool:
        """This test's database."""
        return self.world.postgres

    def shop(self, replica: int = 0) -> Customer:
        """A service that places orders."""
        token = self.world.auth.token(0, "shop", "service")
        return Customer(self.world.channels[replica], token)

    def user(self, user_id: int, replica: int = 0, role: str = "user") -> Customer:
        """A user, perhaps with cards."""
        token = self.world.auth.token(user_id, f"user-{user_id}", role)
        return Customer(self.world.channels[replica], token)

    async def goods(self, *items: ItemSpec, **options: Any) -> Shelf:
        """Goods without a box; see insert_goods."""
        return await insert_goods(self.postgres, *items, **options)

    async def box(self, *items: ItemSpec, kind: str = "ichiban", **config: Any) -> Box:
        """The first box of new goods, open."""
        return await self.open_box(await self.goods(*items, kind=kind), **config)

    async def open_box(self, shelf: Shelf, **config: Any) -> Box:
        """One more box of *shelf*, published."""
        made = await self.shop()(pool_pb2.CreatePoolRequest())
        commitment = bytes.fromhex(made.seed_commitment)
        box = await shelf.open_box(made.pool_id, commitment, **config)
        await self.publish(box)
        return box

    async def publish(self, box: Box, **config: Any) -> None:
        """Publish the box's configuration with these changes, as the administration does."""
        for name, value in config.items():
            setattr(box.config, name, value)
        version = await self.postgres.fetchval("SELECT nextval('pool_versions_seq')")
        request = pool_pb2.PublishPoolRequest(
            pool_id=box.pool_id, version=version, expected_version=box.version, config=box.config
        )
        await self.shop()(request)
        await self.postgres.execute(
            "UPDATE pools SET version = $2 WHERE id = $1", box.pool_id, version
        )
        box.version = version

    async def left(self, box: Box) -> list[int]:
        """Units left of each item, in the order given."""
        request = pool_pb2.InspectPoolsRequest(pool_ids=[box.pool_id])
        (state,) = (await self.shop()(request)).pools
        lefts = {stock.prize_id: stock.remaining for stock in state.stocks}
        return [lefts[prize_id] for prize_id in box.prize_ids]

    async def ledger(self, box: Box) -> list[Draw]:
        """Every draw of the box, in order."""
        entries = [entry for entry in await self._entries(box) if isinstance(entry, DrawEntry)]
        return [draw for entry in entries for draw in entry.draws]

    async def record(self, box: Box) -> None:
        """Carry the ledger into Postgres, as the recorder does."""
        async with self.postgres.acquire() as connection:
            await record(connection, box.pool_id, await self._entries(box), {})

    async def trim(self, box: Box) -> None:
        """Drop what the ledger holds, as the recorder does long after."""
        await self.redis.xtrim(ledger_key(box.pool_id), maxlen=0, approximate=False)

    async def row(self, order_num: str) -> dict[str, Any]:
        """What an order's row says of its draw."""
        row = await self.postgres.fetchrow(
            f"SELECT {_COLUMNS} FROM orders WHERE order_num = $1", order_num
        )
        assert row is not None, order_num
        return dict(row)

    async def status(self, order_num: str) -> str:
        """reserved, drawn or released."""
        return str((await self.row(order_num))["status"])

    async def age(self, order_num: str, hours: int) -> None:
        """Let an order have been reserved *hours* ago."""
        await self.postgres.execute(
            "UPDATE orders SET updated_at = now() - make_interval(hours => $2)"
            " WHERE order_num = $1",
            order_num,
            hours,
        )

    async def _entries(self, box: Box) -> list[Entry]:
        raw: Any = await self.redis.xrange(ledger_key(box.pool_id))
        return [decode_entry(*entry) for entry in raw]


async def settled_books(mall: Mall, box: Box) -> Counter[str]:
    """
    How many orders of *box* are drawn, and how many released, after checking them by the ledger.

    Raises:
        AssertionError: One is reserved still; or what an order has is not what the ledger says; or
            the stock that is gone is not what the orders drew.
    """
    rows = await mall.postgres.fetch(
        f"SELECT order_num, draw_count, {_COLUMNS} FROM orders WHERE pool_id = $1", box.pool_id
    )
    draws = await mall.ledger(box)
    places: dict[str, list[int]] = defaultdict(list)
    for seq, draw in enumerate(draws, 1):
        places[draw.request_id.decode()].append(seq)
    for row in rows:
        seqs = places.pop(row["draw_request_id"], [])
        if row["status"] == "drawn":
            assert list(range(row["first_seq"], row["first_seq"] + row["places"])) == seqs, row
        else:
            assert ("released", []) == (row["status"], seqs), row
    assert {} == places, "drawn for no order"
    gone = sum(prize.units for prize in box.config.prizes) - sum(await mall.left(box))
    assert len(draws) == gone
    return Counter(row["status"] for row in rows)


@asynccontextmanager
async def open_mall(
    redis: Redis, postgres: asyncpg.Pool, dsn: str, *redis_urls: str, **settings: Any
) -> AsyncIterator[Mall]:
    """A draw service, one replica for each of *redis_urls*, whose sweepers leave orders alone."""
    given = {"sweep_every_s": 3600.0, **settings}
    async with open_world(postgres, dsn, *redis_urls, **given) as world:
        yield Mall(world, redis)


def drew(placed: Placed) -> list[str]:
    """The draw ids of what was given."""
    return [proof.draw_id for proof in placed.proofs]


async def told(call: Any) -> str:
    """The reason why *call* failed; "" when it did not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        info = error_info_of(error)
        return info.reason if info is not None else repr(error)
    return ""


async def each_told(calls: Sequence[Any]) -> list[str]:
    """told() of all *calls*, made at once."""
    return list(await asyncio.gather(*map(told, calls)))

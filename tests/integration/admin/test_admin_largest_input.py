"""G6: the largest configurations that are legal, through admin, draw, Redis and the recorder."""

from pathlib import Path

import asyncpg
from kuji.admin.v1 import admin_pb2, goods_pb2
from kuji.blindbox.v1 import blindbox_pb2
from kuji.common.v1 import contract_pb2
from kuji.draw.v1 import draw_pb2, pool_pb2
from redis.asyncio import Redis

from services.draw.settings import DrawSettings
from services.pool.configuration import MAX_PRIZES
from tests.support.admin import failure
from tests.support.history import eventually
from tests.support.house import House, open_activity, open_house

# Four bytes in UTF-8 each, and twelve in the document's JSON.
NAME, IMAGE = "\U0001f381" * 100, "\U0001f381" * 2000
CALL_S = 60


def test_largest_configuration_fits_into_a_request() -> None:
    """The bound of a container is one that its fields' bounds fit into."""
    field = pool_pb2.PoolConfig.DESCRIPTOR.fields_by_name["prizes"]
    most = field.GetOptions().Extensions[contract_pb2.bounds].max_items
    prize = pool_pb2.PoolPrize(
        prize_id=(1 << 53) - 1,
        name=NAME,
        image_url=IMAGE,
        units=10**9,
        weight=10**9,
        enabled=True,
        wins_per_user=(1 << 31) - 1,
        retired=True,
        last_prize=True,
    )
    request = pool_pb2.PublishPoolRequest(config=pool_pb2.PoolConfig(prizes=[prize] * most))
    assert MAX_PRIZES < most
    assert request.ByteSize() < DrawSettings.model_fields["max_message_bytes"].default


async def test_largest_legal_input_is_drawn_from_and_recorded(
    postgres: asyncpg.Pool, postgres_dsn: str, redis: Redis, redis_url: str, tmp_path: Path
) -> None:
    """256 prizes, and 256 items, with the longest texts work; one more is refused by its field."""
    async with open_house(tmp_path, redis_url, postgres_dsn) as house:
        await _lottery(house)
        await _boxes(house)

        async def is_recorded() -> bool:
            behind = "SELECT count(*) FROM pools WHERE recorded_version < version"
            return bool(await postgres.fetchval(behind) + await house.unrecorded() == 0)

        await eventually(is_recorded)
        # Prizes that the test itself put into Postgres are in Redis with the next edit alone.
        errors = [line for line in house.errors() if "Redis has no such prize" not in line]
        assert ([], []) == (await house.halted(), errors)


async def _lottery(house: House) -> None:
    admin, user = await house.admin_token(), await house.register("alice")
    activity_id, _ = await open_activity(house, admin, 10)
    await house.postgres.execute(
        "INSERT INTO prizes (activity_id, pool_id, name, image_url, total_count, probability_ppb)"
        " SELECT id, pool_id, $2, $3, 10, 0 FROM activities, generate_series(1, 254)"
        " WHERE id = $1",
        activity_id,
        NAME,
        IMAGE,
    )
    metadata = (("authorization", f"Bearer {admin}"),)
    stub = house.stub("Admin")

    def create() -> admin_pb2.CreatePrizeRequest:
        return admin_pb2.CreatePrizeRequest(
            activity_id=activity_id, name=NAME, image_url=IMAGE, total_count=10
        )

    # Those deleted do not count, however many there have been.
    for _ in range(3):
        made = await stub.CreatePrize(create(), timeout=CALL_S, metadata=metadata)
        gone = admin_pb2.DeletePrizeRequest(prize_id=made.prize.prize_id)
        await stub.DeletePrize(gone, timeout=CALL_S, metadata=metadata)
    await stub.CreatePrize(create(), timeout=CALL_S, metadata=metadata)
    refused = await failure(stub.CreatePrize(create(), timeout=CALL_S, metadata=metadata))
    assert ("INVALID_ARGUMENT", {"field": "activity_id"}) == refused
    drawn = await house.stub("Draw").Draw(
        draw_pb2.DrawRequest(activity_id=activity_id, request_id="a"),
        timeout=CALL_S,
        metadata=(("authorization", f"Bearer {user.access_token}"),),
    )
    assert drawn.result.draw_id


async def _boxes(house: House) -> None:
    admin, service = await house.admin_token(), await house.service_token()
    user = await house.register("bob")
    metadata = (("authorization", f"Bearer {admin}"),)
    stub = house.stub("Goods")
    made = await stub.CreateGoods(
        goods_pb2.CreateGoodsRequest(title=NAME, type="ichiban", price="9.90", on_shelf=True),
        timeout=CALL_S,
        metadata=metadata,
    )
    goods_id = made.goods.goods_id
    level = goods_pb2.CreateShangRequest(goods_id=goods_id, title=NAME, color="#ffffff")
    shang = (await stub.CreateShang(level, timeout=CALL_S, metadata=metadata)).shang
    item = goods_pb2.CreateGoodsItemRequest(
        goods_id=goods_id, shang_id=shang.shang_id, title=NAME, img_url=IMAGE, stock=2
    )
    await stub.CreateGoodsItem(item, timeout=CALL_S, metadata=metadata)
    await house.postgres.execute(
        "INSERT INTO goods_items (goods_id, shang_id, title, img_url, stock)"
        " SELECT goods_id, shang_id, title, img_url, stock"
        " FROM goods_items, generate_series(2, 256) WHERE goods_id = $1",
        goods_id,
    )
    refused = await failure(stub.CreateGoodsItem(item, timeout=CALL_S, metadata=metadata))
    assert ("INVALID_ARGUMENT", {"field": "goods_id"}) == refused
    boxes = goods_pb2.OpenBoxesRequest(goods_id=goods_id, count=2)
    opened = await stub.OpenBoxes(boxes, timeout=CALL_S, metadata=metadata)
    assert [1, 2] == list(opened.nums)
    order = blindbox_pb2.PlaceOrderRequest(
        order_num="a", user_id=user.user_id, goods_id=goods_id, num=2, count=100
    )
    placed = await house.stub("BlindBox").PlaceOrder(
        order, timeout=CALL_S, metadata=(("authorization", f"Bearer {service}"),)
    )
    assert 100 == len(placed.results)

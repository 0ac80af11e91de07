"""The translation of a box into what the draw engine needs of it."""

from collections.abc import Iterable

from kuji.draw.v1 import pool_pb2

from services.admin.blindbox.models import Box, BoxPrize, Goods, GoodsType
from services.admin.lottery.pool_config import CONFIRMS
from services.admin.models import PoolMode

MODE_OF_TYPE = {GoodsType.ICHIBAN: PoolMode.TICKETS, GoodsType.INFINITE: PoolMode.WEIGHTS}
_MODES = {
    GoodsType.ICHIBAN: pool_pb2.POOL_MODE_TICKETS,
    GoodsType.INFINITE: pool_pb2.POOL_MODE_WEIGHTS,
}
_UNLIMITED = -1
_BY_STOCK = 0


def box_pool_config(goods: Goods, box: Box, prizes: Iterable[BoxPrize]) -> pool_pb2.PoolConfig:
    """
    The whole configuration of a box's pool.

    Args:
        goods: As they shall be.
        box: As it shall be.
        prizes: All of the box, by id.
    """
    return pool_pb2.PoolConfig(
        mode=_MODES[goods.type],
        status=_status(goods, box),
        prizes=[_pool_prize(prize) for prize in prizes],
        protection_ms=goods.terms.protection_seconds * 1000,
        confirm=CONFIRMS[goods.terms.confirm],
        goods_revision=goods.revision,
    )


def _status(goods: Goods, box: Box) -> pool_pb2.PoolStatus.ValueType:
    if box.is_ended or goods.terms.is_ended:
        return pool_pb2.POOL_STATUS_ENDED
    return pool_pb2.POOL_STATUS_OPEN if goods.terms.on_shelf else pool_pb2.POOL_STATUS_PAUSED


def _pool_prize(prize: BoxPrize) -> pool_pb2.PoolPrize:
    terms = prize.terms
    return pool_pb2.PoolPrize(
        prize_id=prize.prize_id,
        name=terms.title,
        image_url=terms.img_url,
        units=_UNLIMITED if terms.stock is None else terms.stock - prize.held_count,
        held_units=prize.held_count,
        weight=_BY_STOCK if terms.weight is None else terms.weight,
        enabled=True,
        last_prize=terms.is_last_prize,
    )

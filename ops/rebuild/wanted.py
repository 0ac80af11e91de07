"""What an operator wants of a pool, as its next configuration."""

from datetime import UTC, datetime

from kuji.draw.v1 import pool_pb2

from ops.rebuild.facts import RecordedPosition, Standing
from services.admin.for_operators import GoodsRows, box_pool_config, pool_config
from services.common.postgres import Connection


async def wanted(
    connection: Connection, pool_id: int, recorded: RecordedPosition, standing: Standing
) -> pool_pb2.PoolConfig:
    """The newest configuration: as it is recorded; if it is not, as the administration has it."""
    if standing.config is not None and standing.version >= recorded.version:
        return standing.config
    rows = GoodsRows(connection)
    box = await rows.box_of_pool(pool_id)
    if box is not None:
        goods = await rows.goods(box.goods_id)
        return box_pool_config(goods, box, await rows.box_prizes(pool_id))
    activity = await rows.activity_of_pool(pool_id)
    prizes = await rows.prizes_of_pools([pool_id])
    # What is recorded may not know of their end yet.
    deleted = [prize.prize_id for prize in prizes if prize.is_deleted]
    return pool_config(activity, prizes, datetime.now(UTC), deleted)

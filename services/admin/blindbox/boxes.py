"""Boxes: opened, and brought up to what their goods are."""

import asyncio
from collections.abc import Iterable

import structlog

from services.admin.audit import AuditRecord
from services.admin.blindbox.models import MAX_BOXES, Box, Goods, GoodsType, Item
from services.admin.blindbox.pool_config import MODE_OF_TYPE, box_pool_config
from services.admin.blindbox.store import GoodsRows, GoodsStore
from services.admin.blindbox.upkeep import bring_up_to_date
from services.admin.editor import Creation, Editor
from services.common.context import RequestContext
from services.common.errors import InvalidArgumentError, UnavailableError
from services.common.failures import to_kuji_error

log = structlog.get_logger()

MAY_HOLD_IN_SOME = (
    "The change may hold in some boxes already. If it was stored, it will hold in all of them in a "
    "moment, by itself. Read it again before repeating."
)
_AT_ONCE = 4  # publications of one call


def check_opening(goods: Goods, items: Iterable[Item], count: int) -> None:
    """InvalidArgumentError naming why the goods may not have *count* further boxes."""
    if goods.terms.is_ended:
        raise InvalidArgumentError("goods_id", "The goods have ended for good.")
    if all(item.terms.is_last_prize for item in items):
        raise InvalidArgumentError("items", "The goods have no item with tickets yet.")
    most = 1 if goods.type is GoodsType.INFINITE else MAX_BOXES
    if goods.boxes + count > most:
        raise InvalidArgumentError(
            "count", f"These goods have at most {most} boxes; {goods.boxes} are open."
        )


class Boxes:
    """What an operator does with boxes."""

    def __init__(self, store: GoodsStore, editor: Editor) -> None:
        self._store = store
        self._editor = editor

    async def open(self, ctx: RequestContext, goods_id: int, count: int) -> list[int]:
        """
        The numbers of *count* further boxes, which draw at once if their goods do; all or none.

        Raises:
            GoodsNotFoundError: No such goods.
            InvalidArgumentError: No items with tickets, or too many boxes.
            UnavailableError: They may have been opened.
        """
        caller = ctx.require_caller()

        async def open_boxes(creation: Creation) -> list[int]:
            rows = GoodsRows(creation.rows.connection)
            goods = await rows.lock_goods(goods_id)
            check_opening(goods, await rows.items(goods_id), count)
            nums = [goods.boxes + place for place in range(1, count + 1)]
            subject = f"goods:{goods_id}"
            await rows.add_audit(AuditRecord(caller, "boxes.open", subject, {"nums": nums}))
            for num in nums:
                await _open(creation, rows, goods, num)
            return nums

        return await self._editor.create(ctx, open_boxes)

    async def bring_up(self, ctx: RequestContext, goods_id: int) -> None:
        """
        Make what the goods are now hold in all their live boxes.

        Raises:
            UnavailableError: It does not in some; the finisher comes by there.
        """
        gate = asyncio.Semaphore(_AT_ONCE)

        async def held_back(pool_id: int) -> bool:
            async with gate:
                return await self._bring_up_one(ctx, pool_id)

        pool_ids = await self._store.boxes_behind(goods_id)
        async with asyncio.TaskGroup() as group:
            brought_up = [group.create_task(held_back(pool_id)) for pool_id in pool_ids]
        if not all(task.result() for task in brought_up):
            raise UnavailableError(MAY_HOLD_IN_SOME)

    async def _bring_up_one(self, ctx: RequestContext, pool_id: int) -> bool:
        try:
            await self._editor.edit(ctx, pool_id, bring_up_to_date)
        except Exception as error:  # noqa: BLE001  # whatever it is, the others go on
            failure = to_kuji_error(error, f"pool {pool_id}")
            log.warning("box left to the finisher", pool_id=pool_id, why=failure.message)
            return False
        return True


async def _open(creation: Creation, rows: GoodsRows, goods: Goods, num: int) -> None:
    edit = await creation.pool(MODE_OF_TYPE[goods.type])
    box = Box(goods.goods_id, num, edit.pool_id, goods.revision, is_ended=False)
    await rows.insert_box(box)
    await edit.publish(box_pool_config(goods, box, await rows.box_prizes(edit.pool_id)))

"""Boxes: opened, and brought up to what their goods are."""

import asyncio
import time
from collections.abc import Iterable

import structlog

from services.admin.approvals.second_person import SecondPerson
from services.admin.audit import AuditRecord
from services.admin.blindbox.models import MAX_BOXES, Box, Goods, GoodsType, Item
from services.admin.blindbox.pool_config import MODE_OF_TYPE, box_pool_config
from services.admin.blindbox.store import GoodsRows, GoodsStore
from services.admin.blindbox.upkeep import bring_up_to_date
from services.admin.editor import Creation, Editor
from services.admin.etags import check_etag
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

    def __init__(self, store: GoodsStore, editor: Editor, second_person: SecondPerson) -> None:
        self._store = store
        self._second_person = second_person
        self._editor = editor

    async def open(
        self, ctx: RequestContext, goods_id: int, count: int, etag: str = ""
    ) -> list[int]:
        """
        The numbers of *count* further boxes, which draw at once if their goods do.

        They are opened one by one, each in a transaction of its own, so that nobody waits for all
        of them. With the first one it is stored how many there are to be. Those that this call does
        not get to are opened by the finisher.

        Raises:
            GoodsNotFoundError: No such goods.
            EtagMismatchError: The goods are not *etag* any more.
            ApprovalNeededError: It needs a second person.
            InvalidArgumentError: No items with tickets, or too many boxes.
            UnavailableError: They may have been opened.
        """
        caller, deadline = ctx.require_caller(), time.monotonic() + ctx.remaining_s / 2

        async def order(creation: Creation) -> list[int]:
            rows = GoodsRows(creation.rows.connection)
            goods = await rows.lock_goods(goods_id)
            check_etag(etag, goods)
            check_opening(goods, await rows.items(goods_id), count)
            nums = [goods.boxes + place for place in range(1, count + 1)]
            subject = f"goods:{goods_id}"
            detail = {"nums": nums, "boxes": {"from": goods.boxes, "to": nums[-1]}}
            record = AuditRecord(caller, "boxes.open", subject, detail)
            record = await self._second_person.clear(ctx, rows, record, goods.etag)
            await rows.add_audit(record)
            await rows.want_boxes(goods_id, nums[-1])
            await _open_next(creation, goods_id)
            return nums

        nums = await self._editor.create(ctx, order)
        try:
            await self.open_wanted(goods_id, nums[-1], deadline, ctx.remaining_s / 3)
        except Exception as error:  # noqa: BLE001  # they are opened all the same, a moment later
            failure = to_kuji_error(error, f"goods {goods_id}")
            log.warning("boxes left to the finisher", goods_id=goods_id, why=failure.message)
        return nums

    async def open_wanted(self, goods_id: int, last: int, deadline: float, step_s: float) -> None:
        """
        Open the boxes that are wanted, up to box *last*.

        Args:
            goods_id: The goods.
            last: A number.
            deadline: None is begun after it; by time.monotonic().
            step_s: Bound of opening one.
        """
        while time.monotonic() < deadline:
            async with asyncio.timeout(step_s):
                num = await self._editor.make(lambda creation: _open_next(creation, goods_id))
            if num is None or num >= last:
                return

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


class Openings:
    """The finisher's chore: boxes that are wanted, and that no call has got to."""

    def __init__(self, store: GoodsStore, boxes: Boxes) -> None:
        self._store = store
        self._boxes = boxes

    async def due(self) -> list[int]:
        """Their goods."""
        return await self._store.goods_to_open()

    async def do(self, ctx: RequestContext, due_id: int) -> None:
        """Open some of them."""
        await self._boxes.open_wanted(
            due_id, MAX_BOXES, time.monotonic() + ctx.remaining_s, ctx.remaining_s
        )


async def _open_next(creation: Creation, goods_id: int) -> int | None:
    """Open the first box that is wanted; its number, or None: all are open."""
    rows = GoodsRows(creation.rows.connection)
    goods = await rows.lock_goods(goods_id)
    num = await rows.next_box(goods_id)
    if num is not None:
        await _open(creation, rows, goods, num)
    return num


async def _open(creation: Creation, rows: GoodsRows, goods: Goods, num: int) -> None:
    edit = await creation.pool(MODE_OF_TYPE[goods.type])
    box = Box(goods.goods_id, num, edit.pool_id, goods.revision, is_ended=False)
    await rows.insert_box(box)
    await edit.publish(box_pool_config(goods, box, await rows.box_prizes(edit.pool_id)))

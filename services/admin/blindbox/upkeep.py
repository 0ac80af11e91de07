"""What a box's pool is told, and when: as its goods change, and once it is sold out."""

from dataclasses import replace

import structlog

from services.admin.audit import KUJI, AuditRecord
from services.admin.blindbox.models import Box
from services.admin.blindbox.pool_config import box_pool_config
from services.admin.blindbox.store import GoodsRows, GoodsStore
from services.admin.editor import Edit, Editor
from services.common.context import RequestContext

log = structlog.get_logger()


async def bring_up_to_date(edit: Edit) -> None:
    """
    Publish the box again, if it is behind its goods, or sold out as far as it is recorded.

    A box that has ended stays as it is. What its goods were last told is read under the lock of
    its pool: who changes them afterwards comes by here again.
    """
    rows = GoodsRows(edit.rows.connection)
    box = await rows.box_of_pool(edit.pool_id)
    if box is None or box.is_ended:
        return
    goods, prizes = await rows.goods(box.goods_id), await rows.box_prizes(edit.pool_id)
    is_sold_out = all(prize.is_sold_out for prize in prizes)
    is_ended = is_sold_out or goods.terms.is_ended
    current = replace(box, revision=goods.revision, is_ended=is_ended)
    if current == box:
        return
    if is_sold_out:
        await rows.add_audit(_finish(box))
    await rows.update_box(current)
    await edit.publish(box_pool_config(goods, current, prizes))
    log.info("box published", goods_id=box.goods_id, num=box.num, is_ended=is_ended)


def _finish(box: Box) -> AuditRecord:
    detail = {"goods_id": box.goods_id, "num": box.num, "is_ended": {"from": False, "to": True}}
    return AuditRecord(KUJI, "box.finish", f"box:{box.goods_id}-{box.num}", detail)


class BoxUpkeep:
    """The finisher's chore: boxes that an operator's change has not reached, or that are empty."""

    def __init__(self, store: GoodsStore, editor: Editor) -> None:
        self._store = store
        self._editor = editor

    async def due(self) -> list[int]:
        """The pools of such boxes."""
        return await self._store.due_boxes()

    async def do(self, ctx: RequestContext, due_id: int) -> None:
        """Publish the box, if it is still due."""
        await self._editor.edit(ctx, due_id, bring_up_to_date)

"""Levels (赏): create, list."""

from collections.abc import Sequence

from services.admin.audit import AuditRecord, content
from services.admin.blindbox.models import MAX_SHANGS, Shang, ShangTerms
from services.admin.blindbox.store import GoodsStore
from services.admin.editor import bounded
from services.common.context import RequestContext
from services.common.errors import InvalidArgumentError


class Shangs:
    """What an operator does with levels."""

    def __init__(self, store: GoodsStore) -> None:
        self._store = store

    async def create(self, ctx: RequestContext, goods_id: int, terms: ShangTerms) -> Shang:
        """A new level of goods."""
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            await rows.lock_goods(goods_id)
            _check_room(await rows.shangs(goods_id))
            shang_id = await rows.insert_shang(goods_id, terms)
            detail = {"goods_id": goods_id, **content(terms)}
            await rows.add_audit(AuditRecord(caller, "shang.create", f"shang:{shang_id}", detail))
            return Shang(shang_id, goods_id, terms)

    async def list(self, goods_id: int) -> list[Shang]:
        """The levels of goods, by sort."""
        return await self._store.shangs(goods_id)


def _check_room(shangs: Sequence[Shang]) -> None:
    if len(shangs) >= MAX_SHANGS:
        raise InvalidArgumentError("goods_id", f"Goods have at most {MAX_SHANGS} levels.")

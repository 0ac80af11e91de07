"""Goods: create, change, list."""

from dataclasses import dataclass, replace
from decimal import Decimal

from services.admin.approvals.second_person import SecondPerson
from services.admin.audit import AuditRecord, content, difference
from services.admin.blindbox.boxes import MAY_HOLD_IN_SOME, Boxes
from services.admin.blindbox.models import Goods, GoodsTerms, GoodsType
from services.admin.blindbox.store import GoodsRows, GoodsStore
from services.admin.changes import given
from services.admin.editor import bounded
from services.admin.etags import check_etag
from services.admin.models import ConfirmMode
from services.common.context import RequestContext
from services.common.errors import InvalidArgumentError
from services.common.paging import Page

_CONCERN_DRAWS = frozenset({"on_shelf", "protection_seconds", "is_ended", "confirm"})


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsChange:
    """A change as asked for; None leaves a field as it is."""

    title: str | None = None
    price: Decimal | None = None
    image_url: str | None = None
    on_shelf: bool | None = None
    protection_seconds: int | None = None
    is_ended: bool | None = None
    confirm: ConfirmMode | None = None

    def applied_to(self, terms: GoodsTerms) -> GoodsTerms:
        """*terms* with the fields given; InvalidArgumentError where they would begin again."""
        if terms.is_ended and self.is_ended is False:
            raise InvalidArgumentError("is_ended", "The goods have ended for good.")
        return replace(terms, **given(self))


class AllGoods:
    """What an operator does with goods."""

    def __init__(self, store: GoodsStore, boxes: Boxes, second_person: SecondPerson) -> None:
        self._store = store
        self._second_person = second_person
        self._boxes = boxes

    async def create(self, ctx: RequestContext, kind: GoodsType, terms: GoodsTerms) -> Goods:
        """New goods, without boxes."""
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            goods_id = await rows.insert_goods(kind, terms)
            detail = {"type": kind, **content(terms)}
            await rows.add_audit(AuditRecord(caller, "goods.create", f"goods:{goods_id}", detail))
            return await rows.goods(goods_id)

    async def update(
        self, ctx: RequestContext, goods_id: int, change: GoodsChange, etag: str = ""
    ) -> Goods:
        """
        The goods after *change*, which holds in all their boxes.

        Where nothing differs, nothing is logged; what concerns no draws is published nowhere.

        Raises:
            GoodsNotFoundError: No such goods.
            EtagMismatchError: They are not *etag* any more.
            ApprovalNeededError: They would end.
            InvalidArgumentError: They have ended, and shall not have.
            UnavailableError: It does not hold in all their boxes yet, or may not be stored.
        """
        async with bounded(ctx, MAY_HOLD_IN_SOME):
            async with self._store.writing() as rows:
                goods = await self._change(ctx, rows, goods_id, change, etag)
            # Also where this call changed nothing: it may repeat one that got half way.
            await self._boxes.bring_up(ctx, goods_id)
            return goods

    async def list(self, page: Page) -> list[Goods]:
        """One page, newest first, and one more where a further page exists."""
        return await self._store.all_goods(page)

    async def _change(
        self, ctx: RequestContext, rows: GoodsRows, goods_id: int, change: GoodsChange, etag: str
    ) -> Goods:
        goods = await rows.lock_goods(goods_id)
        check_etag(etag, goods)
        terms = change.applied_to(goods.terms)
        detail = difference(goods.terms, terms)
        if not detail:
            return goods
        concerns_draws = not _CONCERN_DRAWS.isdisjoint(detail)
        record = AuditRecord(ctx.require_caller(), "goods.update", f"goods:{goods_id}", detail)
        if terms.is_ended and not goods.terms.is_ended:
            record = await self._second_person.clear(ctx, rows, record, goods.etag)
        await rows.update_goods(goods_id, terms, goods.revision + concerns_draws)
        await rows.add_audit(record)
        return await rows.goods(goods_id)

"""Items: create, change, list; all before the first box is opened."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from services.admin.audit import AuditRecord, content, difference
from services.admin.blindbox.models import MAX_ITEMS, Goods, GoodsType, Item, ItemTerms
from services.admin.blindbox.store import GoodsRows, GoodsStore
from services.admin.changes import Cleared, given
from services.admin.editor import bounded
from services.admin.etags import check_etag
from services.common.context import RequestContext
from services.common.errors import InvalidArgumentError, ItemsFixedError, NotFoundError


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """A change as asked for; None leaves a field as it is."""

    title: str | None = None
    img_url: str | None = None
    shang_id: int | None = None
    price: Decimal | None = None
    sc_money: Decimal | None = None
    stock: int | Cleared | None = None
    weight: int | Cleared | None = None
    is_last_prize: bool | None = None

    def applied_to(self, terms: ItemTerms) -> ItemTerms:
        """*terms* with the fields given; what becomes the last prize has one unit."""
        result = replace(terms, **given(self))
        if self.is_last_prize and self.stock is None:
            return replace(result, stock=1)
        return result


def check_room(items: Sequence[Item]) -> None:
    """InvalidArgumentError where goods with *items* may have no further one."""
    if len(items) >= MAX_ITEMS:
        raise InvalidArgumentError("goods_id", f"Goods have at most {MAX_ITEMS} items.")


def check_terms(kind: GoodsType, terms: ItemTerms) -> None:
    """InvalidArgumentError naming the field of *terms* that goods of this type do not have."""
    if kind is GoodsType.INFINITE:
        _check_infinite(terms)
    else:
        _check_ichiban(terms)


def _check_infinite(terms: ItemTerms) -> None:
    if terms.is_last_prize:
        raise InvalidArgumentError("is_last_prize", "Only ichiban goods have a last prize.")
    if terms.stock is None and terms.weight is None:
        raise InvalidArgumentError("weight", "An unlimited item needs a weight.")


def _check_ichiban(terms: ItemTerms) -> None:
    if terms.weight is not None:
        raise InvalidArgumentError("weight", "The weight of an ichiban item is what is left of it.")
    if terms.stock is None:
        raise InvalidArgumentError("stock", "An ichiban item needs a stock.")
    if terms.is_last_prize and terms.stock != 1:
        raise InvalidArgumentError("stock", "The last prize has a stock of 1.")


def check_last_prize(others: Iterable[Item], terms: ItemTerms) -> None:
    """InvalidArgumentError where goods would have a second last prize."""
    if terms.is_last_prize and any(other.terms.is_last_prize for other in others):
        raise InvalidArgumentError("is_last_prize", "These goods have a last prize already.")


class Items:
    """What an operator does with items."""

    def __init__(self, store: GoodsStore) -> None:
        self._store = store

    async def create(self, ctx: RequestContext, goods_id: int, terms: ItemTerms) -> Item:
        """
        A new item.

        Raises:
            GoodsNotFoundError: No such goods.
            ItemsFixedError: A box has been opened.
            InvalidArgumentError: Names the field that does not fit the goods.
        """
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            goods = await _unfixed_goods(rows, goods_id)
            items = await rows.items(goods_id)
            check_room(items)
            await _check(rows, goods, items, terms)
            item_id = await rows.insert_item(goods_id, terms)
            detail = {"goods_id": goods_id, **content(terms)}
            await rows.add_audit(AuditRecord(caller, "item.create", f"item:{item_id}", detail))
            return Item(item_id, goods_id, terms)

    async def update(
        self,
        ctx: RequestContext,
        goods_id: int,
        goods_item_id: int,
        change: ItemChange,
        etag: str = "",
    ) -> Item:
        """
        The item after *change*; where nothing differs, nothing is logged.

        Raises:
            GoodsNotFoundError, NotFoundError: No such goods, no such item of them.
            ItemsFixedError: A box has been opened.
            EtagMismatchError: It is not *etag* any more.
            InvalidArgumentError: Names the field that does not fit the goods.
        """
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            goods = await _unfixed_goods(rows, goods_id)
            items = await rows.items(goods_id)
            item = _find(items, goods_item_id)
            check_etag(etag, item)
            changed = replace(item, terms=change.applied_to(item.terms))
            detail = difference(item.terms, changed.terms)
            if detail:
                others = [other for other in items if other is not item]
                await _check(rows, goods, others, changed.terms)
                await rows.update_item(goods_item_id, changed.terms)
                subject = f"item:{goods_item_id}"
                await rows.add_audit(AuditRecord(caller, "item.update", subject, detail))
            return changed

    async def list(self, goods_id: int) -> list[Item]:
        """The items of goods, in the order of creation."""
        return await self._store.items(goods_id)


async def _unfixed_goods(rows: GoodsRows, goods_id: int) -> Goods:
    goods = await rows.lock_goods(goods_id)
    if goods.boxes:
        raise ItemsFixedError
    return goods


async def _check(rows: GoodsRows, goods: Goods, others: Iterable[Item], terms: ItemTerms) -> None:
    check_terms(goods.type, terms)
    check_last_prize(others, terms)
    if all(shang.shang_id != terms.shang_id for shang in await rows.shangs(goods.goods_id)):
        raise InvalidArgumentError("shang_id", "The goods have no such level.")


def _find(items: Iterable[Item], goods_item_id: int) -> Item:
    for item in items:
        if item.goods_item_id == goods_item_id:
            return item
    raise NotFoundError("There is no such item.")

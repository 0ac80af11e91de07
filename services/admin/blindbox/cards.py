"""Item cards: give, list."""

from dataclasses import dataclass

from services.admin.approvals.second_person import SecondPerson
from services.admin.audit import AuditRecord
from services.admin.blindbox.models import ItemCard
from services.admin.blindbox.store import GoodsStore
from services.admin.editor import bounded
from services.common.context import RequestContext
from services.common.errors import NotFoundError
from services.common.paging import Page


@dataclass(frozen=True, slots=True)
class CardsDraft:
    """Cards as asked for; goods_id None: they draw from any goods."""

    user_id: int
    goods_id: int | None
    count: int


class Cards:
    """What an operator does with item cards."""

    def __init__(self, store: GoodsStore, second_person: SecondPerson) -> None:
        self._store = store
        self._second_person = second_person

    async def issue(self, ctx: RequestContext, draft: CardsDraft) -> list[int]:
        """
        The ids of the user's new cards, ascending.

        Raises:
            NotFoundError: No such user.
            GoodsNotFoundError: No such goods.
            ApprovalNeededError: It needs a second person.
        """
        caller = ctx.require_caller()
        async with bounded(ctx), self._store.writing() as rows:
            if await rows.find_user(draft.user_id, "") is None:
                raise NotFoundError("There is no such user.")
            if draft.goods_id is not None:
                await rows.goods(draft.goods_id)
            card_ids = await rows.insert_cards(
                draft.user_id, draft.goods_id, draft.count, caller.user_id
            )
            detail = {"goods_id": draft.goods_id, "item_card_ids": card_ids}
            subject = f"user:{draft.user_id}"
            record = AuditRecord(caller, "cards.issue", subject, detail)
            await rows.add_audit(await self._second_person.clear(ctx, rows, record))
            return card_ids

    async def list(self, user_id: int, page: Page) -> list[ItemCard]:
        """One page, newest first, and one more where a further page exists; user 0: of all."""
        return await self._store.cards(user_id, page)

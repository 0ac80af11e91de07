"""Prizes: create, change, delete, list."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from services.admin.approvals.second_person import SecondPerson
from services.admin.audit import AuditRecord, content, difference, removal
from services.admin.changes import given
from services.admin.editor import Edit, Editor
from services.admin.etags import check_etag
from services.admin.lottery.activity_edit import activity_of, prizes_of, publish
from services.admin.lottery.consequences import changes_odds, is_under_way
from services.admin.models import MAX_LIVE_PRIZES, PPB, Prize, PrizeTerms
from services.admin.store import Store
from services.common.context import Caller, RequestContext
from services.common.errors import (
    ActivityNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    UnitsBelowWonError,
)
from services.common.paging import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class PrizeChange:
    """A change as asked for; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    image_url: str | None = None
    total_count: int | None = None
    probability_ppb: int | None = None
    is_enabled: bool | None = None
    max_wins_per_user: int | None = None
    unit_cost: Decimal | None = None

    def applied_to(self, terms: PrizeTerms) -> PrizeTerms:
        """*terms* with the fields given."""
        return replace(terms, **given(self))


def check_room(prizes: Iterable[Prize]) -> None:
    """InvalidArgumentError where an activity with *prizes* may have no further one."""
    if sum(not prize.is_deleted for prize in prizes) >= MAX_LIVE_PRIZES:
        raise InvalidArgumentError(
            "activity_id", f"An activity has at most {MAX_LIVE_PRIZES} prizes."
        )


def check_odds(others: Iterable[Prize], terms: PrizeTerms) -> None:
    """InvalidArgumentError where *terms* beside *others* would win with more than certainty."""
    taken = sum(
        other.terms.probability_ppb
        for other in others
        if other.terms.is_enabled and not other.is_deleted
    )
    if terms.is_enabled and taken + terms.probability_ppb > PPB:
        raise InvalidArgumentError(
            "probability", "The probabilities of the enabled prizes would sum to more than 1."
        )


class Prizes:
    """What an operator does with prizes."""

    def __init__(self, store: Store, editor: Editor, second_person: SecondPerson) -> None:
        self._store = store
        self._second_person = second_person
        self._editor = editor

    async def create(self, ctx: RequestContext, activity_id: int, terms: PrizeTerms) -> Prize:
        """
        A new prize that can be won at once.

        Raises:
            ApprovalNeededError: The activity is under way. So do update and delete, where they
                change what can be won.
        """
        caller = ctx.require_caller()

        async def create(edit: Edit) -> Prize:
            prizes = await prizes_of(edit)
            check_room(prizes)
            check_odds(prizes, terms)
            prize_id = await edit.rows.insert_prize(await activity_of(edit), terms)
            subject = f"prize:{prize_id}"
            detail = {"activity_id": activity_id, **content(terms)}
            record = AuditRecord(caller, "prize.create", subject, detail)
            await publish(edit, await self._cleared(ctx, edit, record, None, terms))
            return _find(await prizes_of(edit), prize_id)

        pool_id = await self._store.pool_of_activity(activity_id)
        if pool_id is None:
            raise ActivityNotFoundError
        return await self._editor.edit(ctx, pool_id, create)

    async def update(
        self, ctx: RequestContext, prize_id: int, change: PrizeChange, etag: str = ""
    ) -> Prize:
        """
        The prize after *change*; where nothing differs, nothing is published or logged.

        Raises:
            EtagMismatchError: It is not *etag* any more.
        """
        caller = ctx.require_caller()

        async def update(edit: Edit) -> Prize:
            prizes = await prizes_of(edit)
            prize = _find_live(prizes, prize_id)
            check_etag(etag, prize)
            terms = change.applied_to(prize.terms)
            detail = difference(prize.terms, terms)
            if not detail:
                return prize
            check_odds((other for other in prizes if other is not prize), terms)
            _check_units(prize, terms)
            record = AuditRecord(caller, "prize.update", f"prize:{prize_id}", detail)
            record = await self._cleared(ctx, edit, record, prize, terms)
            await edit.rows.update_prize(prize_id, terms)
            await publish(edit, record)
            return _find(await prizes_of(edit), prize_id)

        return await self._editor.edit(ctx, await self._pool_of(prize_id), update)

    async def delete(self, ctx: RequestContext, prize_id: int, etag: str = "") -> Prize:
        """
        The prize, taken out of its activity: its units are what is won. Idempotent.

        Raises:
            EtagMismatchError: It is not *etag* any more, and not deleted either.
        """
        caller = ctx.require_caller()

        async def delete(edit: Edit) -> Prize:
            prize = _find(await prizes_of(edit), prize_id)
            if not prize.is_deleted:
                check_etag(etag, prize)
                record = await self._cleared(ctx, edit, _deletion(caller, prize), prize, None)
                await edit.rows.delete_prize(prize_id)
                await publish(edit, record, retiring=[prize_id])
            return _find(await prizes_of(edit), prize_id)

        return await self._editor.edit(ctx, await self._pool_of(prize_id), delete)

    async def list(self, activity_id: int, page: Page) -> list[Prize]:
        """One page of live prizes, and one more where a further page exists; 0: of all."""
        if activity_id and await self._store.pool_of_activity(activity_id) is None:
            raise ActivityNotFoundError
        return await self._store.prizes(activity_id, page)

    async def _cleared(
        self,
        ctx: RequestContext,
        edit: Edit,
        record: AuditRecord,
        before: Prize | None,
        after: PrizeTerms | None,
    ) -> AuditRecord:
        """What the audit log says of a change, which may need a second person."""
        terms = (await activity_of(edit)).terms
        was = None if before is None else before.terms
        if not is_under_way(terms, edit.now) or not changes_odds(was, after):
            return record
        etag = "" if before is None else before.etag
        return await self._second_person.clear(ctx, edit.rows, record, etag)

    async def _pool_of(self, prize_id: int) -> int:
        pool_id = await self._store.pool_of_prize(prize_id)
        if pool_id is None:
            raise NotFoundError("There is no such prize.")
        return pool_id


def _deletion(caller: Caller, prize: Prize) -> AuditRecord:
    detail = {"activity_id": prize.activity_id, **removal(prize.terms)}
    return AuditRecord(caller, "prize.delete", f"prize:{prize.prize_id}", detail)


def _check_units(prize: Prize, terms: PrizeTerms) -> None:
    # What is recorded is won for certain; the live store, asked next, may know of more. What is
    # held back may be won.
    taken = prize.won_count + prize.held_count
    if terms.total_count < taken:
        raise UnitsBelowWonError(prize.prize_id, taken)


def _find(prizes: Iterable[Prize], prize_id: int) -> Prize:
    return next(prize for prize in prizes if prize.prize_id == prize_id)


def _find_live(prizes: Iterable[Prize], prize_id: int) -> Prize:
    prize = _find(prizes, prize_id)
    if prize.is_deleted:
        raise NotFoundError("There is no such prize.")
    return prize

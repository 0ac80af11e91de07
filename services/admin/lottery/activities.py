"""Activities: create, change, list."""

from datetime import timedelta

from services.admin.approvals.second_person import SecondPerson
from services.admin.audit import AuditRecord, content, difference
from services.admin.editor import Creation, Edit, Editor
from services.admin.etags import check_etag
from services.admin.lottery.activity_edit import activity_of, prizes_of, publish
from services.admin.lottery.consequences import ends
from services.admin.lottery.lifecycle import (
    ActivityChange,
    ActivityDraft,
    changed,
    check_prizes,
    drafted,
    opens,
)
from services.admin.models import Activity, PoolMode
from services.admin.store import Store
from services.common.context import RequestContext
from services.common.errors import ActivityNotFoundError
from services.common.paging import Page


class Activities:
    """
    What an operator does with activities.

    Args:
        finish_grace: How long after its end an activity can still be extended.
    """

    def __init__(
        self, store: Store, editor: Editor, finish_grace: timedelta, second_person: SecondPerson
    ) -> None:
        self._store = store
        self._second_person = second_person
        self._editor = editor
        self._finish_grace = finish_grace

    async def create(self, ctx: RequestContext, draft: ActivityDraft) -> Activity:
        """A new activity with a pool of its own; InvalidArgumentError names the unfit field."""
        caller = ctx.require_caller()

        async def create(creation: Creation) -> Activity:
            edit = await creation.pool(PoolMode.ODDS)
            terms = drafted(draft, edit.now)
            activity_id = await edit.rows.insert_activity(edit.pool_id, terms)
            subject = f"activity:{activity_id}"
            await publish(edit, AuditRecord(caller, "activity.create", subject, content(terms)))
            return await activity_of(edit)

        return await self._editor.create(ctx, create)

    async def update(
        self, ctx: RequestContext, activity_id: int, change: ActivityChange, etag: str = ""
    ) -> Activity:
        """
        The activity after *change*; where nothing differs, nothing is published or logged.

        Raises:
            EtagMismatchError: It is not *etag* any more.
            ApprovalNeededError: It would end.
        """
        caller = ctx.require_caller()

        async def update(edit: Edit) -> Activity:
            activity = await activity_of(edit)
            check_etag(etag, activity)
            terms = changed(activity.terms, change, edit.now, self._finish_grace)
            detail = difference(activity.terms, terms)
            if not detail:
                return activity
            if opens(activity.terms, terms, edit.now):
                check_prizes(await prizes_of(edit))
            record = AuditRecord(caller, "activity.update", f"activity:{activity_id}", detail)
            if ends(activity.terms, terms, edit.now):
                record = await self._second_person.clear(ctx, edit.rows, record, activity.etag)
            await edit.rows.update_activity(edit.pool_id, terms)
            await publish(edit, record)
            return await activity_of(edit)

        pool_id = await self._store.pool_of_activity(activity_id)
        if pool_id is None:
            raise ActivityNotFoundError
        return await self._editor.edit(ctx, pool_id, update)

    async def list(self, page: Page) -> list[Activity]:
        """One page, newest first, and one more where a further page exists."""
        return await self._store.activities(page)

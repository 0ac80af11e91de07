"""What time does to activities: it ends them for good, and shifts their midnights."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from services.admin.audit import KUJI, AuditRecord, difference
from services.admin.editor import Edit, Editor
from services.admin.lottery.activity_edit import activity_of, publish
from services.admin.lottery.lifecycle import has_ended_for_good
from services.admin.lottery.pool_config import offset_minutes
from services.admin.models import Detail, Offset, Wish
from services.admin.store import Store
from services.common.context import RequestContext

log = structlog.get_logger()

_QUARTER = timedelta(minutes=15)
_SETTLED = timedelta(minutes=1)  # what was published before a quarter is recorded
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Ending:
    """
    Ends for good what time has ended.

    Args:
        grace: How long after its end an activity can still be extended.
    """

    def __init__(self, store: Store, editor: Editor, grace: timedelta) -> None:
        self._store = store
        self._editor = editor
        self._grace = grace

    async def due(self) -> list[int]:
        """The pools of activities whose end has passed *grace* ago or more."""
        return await self._store.overdue_pools(self._grace)

    async def do(self, ctx: RequestContext, due_id: int) -> None:
        """End the activity, unless it was extended meanwhile."""
        await self._editor.edit(ctx, due_id, self._end)

    async def _end(self, edit: Edit) -> None:
        activity = await activity_of(edit)
        terms = activity.terms
        if terms.wish is Wish.ENDED or not has_ended_for_good(terms, edit.now, self._grace):
            return
        ended = replace(terms, wish=Wish.ENDED)
        await edit.rows.update_activity(edit.pool_id, ended)
        subject = f"activity:{activity.activity_id}"
        detail = difference(terms, ended)
        await publish(edit, AuditRecord(KUJI, "activity.finish", subject, detail))
        log.info("activity finished", activity_id=activity.activity_id)


class DayShift:
    """Publishes an activity again whose time zone's offset from UTC has changed."""

    def __init__(self, store: Store, editor: Editor) -> None:
        self._store = store
        self._editor = editor
        self._done = _LONG_AGO

    async def due(self) -> list[int]:
        """
        The pools whose newest configuration, as recorded, has another offset.

        Clocks are put forward or back at quarters of an hour. So all is read until, some time after
        one, nothing was due any more; and then not before the next one.
        """
        async with self._store.snapshot() as rows:
            now = await rows.now()
            quarter = now - (now - _LONG_AGO) % _QUARTER
            if quarter <= self._done:
                return []
            due = [offset.pool_id for offset in await rows.offsets(0) if _shift_of(offset, now)]
        if not due and now - quarter >= _SETTLED:
            self._done = quarter
        return due

    async def do(self, ctx: RequestContext, due_id: int) -> None:
        """Publish it, unless somebody did meanwhile."""
        await self._editor.edit(ctx, due_id, self._shift)

    async def _shift(self, edit: Edit) -> None:
        for offset in await edit.rows.offsets(edit.pool_id):
            if detail := _shift_of(offset, edit.now):
                subject = f"activity:{(await activity_of(edit)).activity_id}"
                await publish(edit, AuditRecord(KUJI, "activity.shift_day", subject, detail))
                log.info("day shifted", pool_id=edit.pool_id, **detail)


def _shift_of(offset: Offset, now: datetime) -> Detail:
    minutes = offset_minutes(offset.time_zone, now)
    if minutes == offset.minutes:
        return {}
    return {"day_offset_minutes": {"from": offset.minutes, "to": minutes}}

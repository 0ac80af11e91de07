"""What time does to activities: it ends them for good, and shifts their midnights."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from services.admin.audit import AuditRecord, difference
from services.admin.editor import Edit, Editor
from services.admin.lifecycle import has_ended_for_good
from services.admin.models import Detail, Offset, Wish
from services.admin.pool_config import offset_minutes
from services.admin.store import Store
from services.common.context import Caller, RequestContext, Role
from services.common.server import to_kuji_error

log = structlog.get_logger()

_KUJI = Caller(user_id=0, username="kuji", role=Role.SERVICE)
_PATIENCE_S = 10.0  # for one activity


class Finisher:
    """
    Looks from time to time for activities that time has changed.

    Any number of processes may do so: each change passes the pool's lock and looks again.

    Args:
        grace: How long after its end an activity can still be extended.
        every_s: Pause between two looks.
    """

    def __init__(self, store: Store, editor: Editor, grace: timedelta, every_s: float) -> None:
        self._store = store
        self._editor = editor
        self._grace = grace
        self._every_s = every_s
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let run() return after the change that it is at."""
        self._stopping.set()

    async def run(self) -> None:
        """Look until stopped; what fails is tried again at the next look."""
        while not self._stopping.is_set():
            await _logged("look", self.look())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._stopping.wait()

    async def look(self) -> None:
        """Make all the changes that are due."""
        await self._change_each(await self._store.overdue_pools(self._grace), self._finish)
        await self._change_each(await self._shifted_pools(), _shift)

    async def _shifted_pools(self) -> list[int]:
        async with self._store.snapshot() as rows:
            now = await rows.now()
            return [offset.pool_id for offset in await rows.offsets(0) if _shift_of(offset, now)]

    async def _change_each(
        self, pool_ids: Iterable[int], change: Callable[[Edit], Awaitable[None]]
    ) -> None:
        for pool_id in pool_ids:
            if self._stopping.is_set():
                return
            ctx = RequestContext(_KUJI, _PATIENCE_S)
            # One that cannot be changed now must not hold up the others.
            await _logged(f"pool {pool_id}", self._editor.edit(ctx, pool_id, change))

    async def _finish(self, edit: Edit) -> None:
        activity = await edit.activity()
        terms = activity.terms
        if terms.wish is Wish.ENDED or not has_ended_for_good(terms, edit.now, self._grace):
            return
        ended = replace(terms, wish=Wish.ENDED)
        await edit.rows.update_activity(edit.pool_id, ended)
        subject = f"activity:{activity.activity_id}"
        await edit.publish(AuditRecord(_KUJI, "activity.finish", subject, difference(terms, ended)))
        log.info("activity finished", activity_id=activity.activity_id)


async def _shift(edit: Edit) -> None:
    """Publish an activity again, whose time zone's offset from UTC has changed."""
    for offset in await edit.rows.offsets(edit.pool_id):
        if detail := _shift_of(offset, edit.now):
            subject = f"activity:{(await edit.activity()).activity_id}"
            await edit.publish(AuditRecord(_KUJI, "activity.shift_day", subject, detail))
            log.info("day shifted", pool_id=edit.pool_id, **detail)


def _shift_of(offset: Offset, now: datetime) -> Detail:
    minutes = offset_minutes(offset.time_zone, now)
    if minutes == offset.minutes:
        return {}
    return {"day_offset_minutes": {"from": offset.minutes, "to": minutes}}


async def _logged(what: str, work: Awaitable[None]) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001  # the boundary: the next look comes all the same
        failure = to_kuji_error(error, f"Finisher {what}")
        log.warning("postponed to the next look", what=what, why=failure.message)

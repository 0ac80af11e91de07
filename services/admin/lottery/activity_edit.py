"""A change of an activity's pool: what it reads, and how it takes effect."""

from collections.abc import Collection

from services.admin.audit import AuditRecord
from services.admin.editor import Edit
from services.admin.lottery.pool_config import pool_config
from services.admin.models import Activity, Prize


async def activity_of(edit: Edit) -> Activity:
    """The activity, with what *edit* has done so far."""
    return await edit.rows.activity_of_pool(edit.pool_id)


async def prizes_of(edit: Edit) -> list[Prize]:
    """All prizes, the deleted included, with what *edit* has done so far."""
    return await edit.rows.prizes_of_pools([edit.pool_id])


async def publish(
    edit: Edit, record: AuditRecord, cause: str = "", retiring: Collection[int] = ()
) -> None:
    """
    Log the change and make it hold for the next draw, noting *cause*; errors as Edit.publish.

    *retiring*: ids of prizes that it deletes.
    """
    await edit.rows.add_audit(record)
    config = pool_config(await activity_of(edit), await prizes_of(edit), edit.now, retiring)
    config.cause = cause
    units = await edit.publish(config)
    await edit.rows.set_units_of_deleted(units)

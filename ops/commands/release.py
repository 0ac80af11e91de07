"""kuji release: units that a rebuild held back can be won again."""

import asyncio
from typing import Annotated

import typer

from ops.accounts import operator_name
from ops.commands.choice import (
    WAYS,
    BoxOption,
    Choice,
    GoodsOption,
    PoolOption,
    chosen_pool,
)
from ops.connections import OpsSettings, open_stores
from ops.errors import OperatorError
from ops.rebuild.holds import Held
from ops.rebuild.release import ReleaseError
from ops.rebuild.release import release as give_back
from ops.terminal import counted, out
from services.common.settings import read_settings


def release(
    activity: Annotated[int | None, typer.Argument(help="The activity.", min=1)] = None,
    pool: PoolOption = None,
    goods: GoodsOption = None,
    box: BoxOption = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PRIZE=UNITS", help="Units to hold back still, as handed out by hand."
        ),
    ] = None,
) -> None:
    """
    Give back the units that `kuji rebuild` held back, since draws that were lost may have won
    them. They can be won from the next draw on; do so once it is settled what was announced. The
    ledger and the audit log know of it.

    Exit code 0: nothing else is held back any more; 2: it still is.
    """
    choice = Choice(activity, pool, goods, box)
    choice.check()
    if choice.named != 1:
        raise OperatorError(f"Name one of these: {WAYS}")
    try:
        kept = dict(map(_kept, keep or ()))
        pool_id, back = asyncio.run(_release(read_settings(OpsSettings), choice, kept))
    except ReleaseError as error:
        raise OperatorError(str(error)) from error
    if not back:
        out.print(f"[green]✓[/] pool {pool_id}: nothing to give back")
        return
    units = ", ".join(f"{count} of prize {prize_id}" for prize_id, count in back.items())
    total = counted(sum(back.values()), "unit")
    out.print(f"[green]✓[/] pool {pool_id}: {total} given back: {units}", soft_wrap=True)


def _kept(text: str) -> tuple[int, int]:
    prize_id, _, units = text.partition("=")
    if not (prize_id.isdecimal() and units.isdecimal()):
        raise OperatorError(f"{text} is not PRIZE=UNITS, two numbers")
    return int(prize_id), int(units)


async def _release(settings: OpsSettings, choice: Choice, keep: Held) -> tuple[int, Held]:
    async with open_stores(settings) as stores:
        async with stores.postgres.acquire() as connection:
            pool_id = await chosen_pool(connection, choice)
        back = await give_back(stores.postgres, stores.redis, pool_id, operator_name(), keep)
        return pool_id, back

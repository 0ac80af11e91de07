"""kuji rebuild: pools back into Redis, from Postgres."""

import asyncio
from collections import Counter
from functools import partial
from typing import Annotated

import typer

from ops.connections import OpsSettings, open_stores
from ops.errors import OperatorError
from ops.rebuild.rebuilder import Outcome, Rebuilder, RebuildError
from ops.terminal import counted, out, progress
from services.common.settings import read_settings

_SETTLE_S = 1.0  # several of a draw process's rounds (KUJI_MARK_EVERY_S)


def rebuild(
    pool: Annotated[int | None, typer.Option(help="Rebuild this pool alone.", min=1)] = None,
    hold: Annotated[
        bool, typer.Option(help="Hold back the units that lost draws may have won.")
    ] = True,
) -> None:
    """
    Restore from Postgres the pools that Redis has lost, or has only in part: stock, users'
    limits, and the request ids of a day. Healthy pools are left as they are. Draws that come
    meanwhile are refused.

    It says how many draws had been answered and were not recorded: they are lost. The units that
    they may have won are held back until `kuji release`; with --no-hold, others can win them at
    once.

    Exit code 0: all pools are there; 2: not.
    """
    try:
        outcomes, rebuilder = asyncio.run(_rebuild(read_settings(OpsSettings), pool, hold))
    except RebuildError as error:
        raise OperatorError(str(error)) from error
    for pool_id in sorted(rebuilder.lost.keys() | rebuilder.held.keys()):
        out.print(f"[yellow]![/] pool {pool_id}: {_told(rebuilder, pool_id)}", soft_wrap=True)
    out.print(
        f"[green]✓[/] {outcomes[Outcome.REBUILT]} rebuilt, "
        f"{outcomes[Outcome.HEALTHY]} healthy and left alone"
    )


def _told(rebuilder: Rebuilder, pool_id: int) -> str:
    told = []
    if lost := rebuilder.lost.get(pool_id):
        told.append(f"{counted(lost, 'answered draw')} {'is' if lost == 1 else 'are'} lost")
    if held := rebuilder.held.get(pool_id):
        told.append(f"{counted(sum(held.values()), 'unit')} held back, see kuji release")
    return "; ".join(told)


async def _rebuild(
    settings: OpsSettings, pool_id: int | None, is_holding: bool
) -> tuple[Counter[Outcome], Rebuilder]:
    async with open_stores(settings) as stores:
        rebuilder = Rebuilder(stores.postgres, stores.redis, is_holding, _SETTLE_S)
        known = await rebuilder.pool_ids()
        if pool_id is not None and pool_id not in known:
            raise OperatorError(f"There is no pool {pool_id}")
        outcomes: Counter[Outcome] = Counter()
        with progress() as bars:
            for one in [pool_id] if pool_id is not None else known:
                task = bars.add_task(f"pool {one}", total=None, note="")
                outcome = await rebuilder.rebuild(one, partial(bars.advance, task))
                bars.update(task, total=1, completed=1, note=outcome)
                outcomes[outcome] += 1
    return outcomes, rebuilder

"""kuji rebuild: pools back into Redis, from Postgres."""

import asyncio
from collections import Counter
from functools import partial
from typing import Annotated

import typer

from ops.connections import OpsSettings, open_stores
from ops.errors import OperatorError
from ops.rebuild.rebuilder import Outcome, Rebuilder, RebuildError
from ops.terminal import out, progress
from services.common.settings import read_settings


def rebuild(
    pool: Annotated[int | None, typer.Option(help="Rebuild this pool alone.", min=1)] = None,
) -> None:
    """
    Restore from Postgres the pools that Redis has lost, or has only in part: stock, users'
    limits, and the request ids of a day. Healthy pools are left as they are. Draws that come
    meanwhile are refused.

    It says how many draws had been answered and were not recorded: they are lost, and the units
    that they won can be won again.

    Exit code 0: all pools are there; 2: not.
    """
    try:
        outcomes, lost = asyncio.run(_rebuild(read_settings(OpsSettings), pool))
    except RebuildError as error:
        raise OperatorError(str(error)) from error
    for pool_id, draws in lost.items():
        out.print(f"[yellow]![/] pool {pool_id}: {draws} answered draws are lost")
    out.print(
        f"[green]✓[/] {outcomes[Outcome.REBUILT]} rebuilt, "
        f"{outcomes[Outcome.HEALTHY]} healthy and left alone"
    )


async def _rebuild(
    settings: OpsSettings, pool_id: int | None
) -> tuple[Counter[Outcome], dict[int, int]]:
    async with open_stores(settings) as stores:
        rebuilder = Rebuilder(stores.postgres, stores.redis)
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
    return outcomes, rebuilder.lost

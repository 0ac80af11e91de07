"""kuji export-ledger: a ledger into a file that anyone can check."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ops.commands.choice import (
    WAYS,
    BoxOption,
    Choice,
    GoodsOption,
    PoolOption,
    chosen_pool,
)
from ops.connections import OpsSettings, open_database, postgres_address
from ops.errors import OperatorError
from ops.ledger.file import LedgerFileError, header_line, open_text, record_line
from ops.ledger.reader import read_header, read_ledger
from ops.terminal import out, progress
from services.common.postgres import Connection
from services.common.settings import read_settings
from services.pool.rule.replay import EntryRecord


def export_ledger(
    operands: Annotated[
        list[str],
        typer.Argument(
            metavar="[ACTIVITY] FILE",
            help="The activity, unless an option names the ledger; where to, gzip where it ends "
            "in .gz.",
        ),
    ],
    pool: PoolOption = None,
    goods: GoodsOption = None,
    box: BoxOption = None,
) -> None:
    """
    Write the ledger of an activity, a pool or a blind box, its seed commitment and, once
    revealed, its seed to a file that `kuji verify --file` checks without any access to Kuji.
    """
    *named, name = operands
    choice, file = Choice(_activity(named), pool, goods, box), Path(name)
    choice.check()
    if choice.named != 1:
        raise OperatorError(f"Name a file, and one of these: {WAYS}")
    draws = asyncio.run(_export(read_settings(OpsSettings), choice, file))
    out.print(f"[green]✓[/] {draws} draws in {file}")


def _activity(named: list[str]) -> int | None:
    """What is named before the file: an activity, or nothing."""
    if not named:
        return None
    if len(named) > 1 or not named[0].isdecimal():
        raise OperatorError(f"{' '.join(named)} is not an activity: it is named by its number")
    return int(named[0])


async def _export(settings: OpsSettings, choice: Choice, file: Path) -> int:
    dsn = postgres_address(settings)
    async with open_database(dsn) as postgres, postgres.acquire() as connection:
        pool_id = await chosen_pool(connection, choice)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await _write(connection, pool_id, file)
        except LedgerFileError as error:
            raise OperatorError(f"{file} cannot be written: {error}") from error


async def _write(connection: Connection, pool_id: int, file: Path) -> int:
    header = await read_header(connection, pool_id)
    draws = 0
    with progress() as bars, open_text(file, "w") as lines:
        task = bars.add_task("exporting", total=header.seq, note="")
        lines.write(header_line(header) + "\n")
        async for record in read_ledger(connection, pool_id):
            lines.write(record_line(record) + "\n")
            if isinstance(record, EntryRecord):
                draws += len(record.draws)
                bars.update(task, completed=record.last_seq)
    return draws

"""kuji export-ledger: an activity's ledger into a file that anyone can check."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ops.connections import OpsSettings, open_database, postgres_address
from ops.errors import OperatorError
from ops.ledger.file import LedgerFileError, header_line, open_text, record_line
from ops.ledger.reader import pool_of_activity, read_header, read_ledger
from ops.terminal import out, progress
from services.common.postgres import Connection
from services.draw.verification import EntryRecord


def export_ledger(
    activity: Annotated[int, typer.Argument(help="The activity.", min=1)],
    file: Annotated[Path, typer.Argument(help="Where to; gzip where it ends in .gz.")],
) -> None:
    """
    Write an activity's ledger, its seed commitment and, once revealed, its seed to a file that
    `kuji verify --file` checks without any access to Kuji.
    """
    draws = asyncio.run(_export(OpsSettings(), activity, file))
    out.print(f"[green]✓[/] {draws} draws in {file}")


async def _export(settings: OpsSettings, activity_id: int, file: Path) -> int:
    dsn = postgres_address(settings)
    async with open_database(dsn) as postgres, postgres.acquire() as connection:
        pool_id = await pool_of_activity(connection, activity_id)
        if pool_id is None:
            raise OperatorError(f"There is no activity {activity_id}")
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

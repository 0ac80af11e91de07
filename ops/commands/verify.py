"""kuji verify: replay a whole ledger, and find the first draw that does not follow."""

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

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
from ops.ledger.checker import Checker
from ops.ledger.file import Header, LedgerFileError, open_text, read_records
from ops.ledger.file import read_header as read_header_line
from ops.ledger.reader import read_header, read_ledger
from ops.terminal import out, progress
from services.common.postgres import Connection
from services.common.settings import read_settings
from services.pool.rule.replay import DiscrepancyError


def verify(
    activity: Annotated[int | None, typer.Argument(help="The activity.", min=1)] = None,
    pool: PoolOption = None,
    goods: GoodsOption = None,
    box: BoxOption = None,
    file: Annotated[Path | None, typer.Option(help="A ledger file instead.")] = None,
    seed: Annotated[str | None, typer.Option(help="The revealed seed, hexadecimal.")] = None,
) -> None:
    """
    Replay a ledger from its seed: every roll, selection, stock, limit and configuration. It is
    that of an activity, of a pool, or of a blind box; with --file it needs nothing but the file
    and the revealed seed.

    Exit code 0: every draw follows; 1: one does not, and it is named; 2: it could not be checked.
    """
    choice = Choice(activity, pool, goods, box)
    choice.check()
    if choice.named + (file is not None) != 1:
        raise OperatorError(f"Name one of these: {WAYS}, or a ledger file with --file")
    gc.disable()  # nothing here makes cycles, and the collector costs a tenth of the time
    try:
        if file is not None:
            draws = _verify_file(file, seed)
        else:
            draws = asyncio.run(_verify_chosen(read_settings(OpsSettings), choice, seed))
    except DiscrepancyError as error:
        out.print(f"[red]✗[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error
    out.print(f"[green]✓[/] every one of {draws} draws follows from the seed")


def _verify_file(path: Path, seed: str | None) -> int:
    try:
        with open_text(path, "r") as lines:
            header = read_header_line(next(lines, ""))
            revealed = _seed_of(header, seed)
            with progress() as bars:
                checker = Checker(header, revealed, _bar(bars, header))
                for record in read_records(lines):
                    checker.feed(record)
                return checker.finish()
    except LedgerFileError as error:
        raise OperatorError(f"{path} cannot be checked: {error}") from error


async def _verify_chosen(settings: OpsSettings, choice: Choice, seed: str | None) -> int:
    dsn = postgres_address(settings)
    async with open_database(dsn) as postgres, postgres.acquire() as connection:
        pool_id = await chosen_pool(connection, choice)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _verify_pool(connection, pool_id, seed)


async def _verify_pool(connection: Connection, pool_id: int, seed: str | None) -> int:
    header = await read_header(connection, pool_id)
    revealed = _seed_of(header, seed)
    with progress() as bars:
        checker = Checker(header, revealed, _bar(bars, header))
        async for record in read_ledger(connection, pool_id):
            checker.feed(record)
        return checker.finish()


def _bar(bars: Progress, header: Header) -> Callable[[int], None]:
    """A bar over the draws of a ledger, with their rate; it takes the newest one replayed."""
    task = bars.add_task("verifying", total=header.seq, note="")
    begun = time.monotonic()

    def show(seq: int) -> None:
        rate = seq / max(time.monotonic() - begun, 0.001)
        bars.update(task, completed=seq, note=f"{rate:,.0f} draws/s")

    return show


def _seed_of(header: Header, seed: str | None) -> bytes:
    revealed = seed or header.seed
    if revealed is None:
        end = "box is sold out, or its goods have" if header.activity_id is None else "activity has"
        raise OperatorError(
            f"The seed of pool {header.pool_id} is not revealed yet: that comes when the "
            f"{end} ended for good"
        )
    try:
        return bytes.fromhex(revealed)
    except ValueError as error:
        raise OperatorError("A seed is 64 hexadecimal digits") from error

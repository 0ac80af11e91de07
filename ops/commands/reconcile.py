"""kuji reconcile: audit the books."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, NamedTuple

import typer
from rich.markup import escape
from rich.table import Table

from ops.connections import OpsSettings, open_stores
from ops.errors import OperatorError
from ops.terminal import counted, out, progress
from services.common.settings import read_settings
from services.pool.books.collector import Auditor
from services.pool.books.facts import HeldUnits
from services.pool.books.findings import Finding


class Audit(NamedTuple):
    """How many pools were audited, what was found, and what is held back in them."""

    pools: int
    findings: Sequence[Finding]
    held: Sequence[HeldUnits]


def reconcile(
    pool: Annotated[int | None, typer.Option(help="Audit this pool alone.", min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """
    Audit the books: units = left + won + in flight + held back for every prize, no gap in any
    ledger, and Redis and Postgres agree. Draws may run meanwhile.

    Exit code 0: balanced; 1: not; 2: the audit could not be made.
    """
    audit = asyncio.run(_audit(read_settings(OpsSettings), pool))
    _print_json(audit) if as_json else _print(audit)
    raise typer.Exit(1 if audit.findings else 0)


async def _audit(settings: OpsSettings, pool_id: int | None) -> Audit:
    async with open_stores(settings) as stores:
        auditor = Auditor(stores.postgres, stores.redis)
        if pool_id is None:
            return await _audit_all(auditor)
        findings, held = await auditor.audit_pool(pool_id), await auditor.held(pool_id)
    if findings is None:
        raise OperatorError(f"There is no pool {pool_id}")
    return Audit(1, findings, held)


async def _audit_all(auditor: Auditor) -> Audit:
    pool_ids = await auditor.pool_ids()
    findings: list[Finding] = []
    with progress() as bars:
        for pool_id in bars.track(pool_ids, task_id=bars.add_task("auditing", note="")):
            findings += await auditor.audit_pool(pool_id) or []
    findings += await auditor.audit_winner_list()
    return Audit(len(pool_ids), findings, await auditor.held())


def _print_json(audit: Audit) -> None:
    answer = {
        "balanced": not audit.findings,
        "pools": audit.pools,
        "findings": [asdict(finding) for finding in audit.findings],
        "held": [one._asdict() for one in audit.held],
    }
    out.print_json(json.dumps(answer))


def _print(audit: Audit) -> None:
    pools = counted(audit.pools, "pool")
    for one in audit.held:
        units = f"{counted(one.units, 'unit')} of prize {one.prize_id} ({escape(one.name)})"
        out.print(f"[yellow]![/] pool {one.pool_id}: {units} held back", soft_wrap=True)
    if not audit.findings:
        out.print(f"[green]✓[/] the books balance ({pools})")
        return
    out.print(findings_table(audit.findings))
    out.print(f"[red]✗[/] {counted(len(audit.findings), 'finding')} in {pools}")


def findings_table(findings: Sequence[Finding]) -> Table:
    """Which pool, which prize, what, by how much."""
    table = Table("pool", "prize", "finding", "off by")
    table.columns[3].justify = "right"
    for finding in findings:
        table.add_row(
            _cell(finding.pool_id, "all"),
            _cell(finding.prize_id, ""),
            escape(finding.detail),
            f"{finding.off_by:+d}" if finding.off_by else "",
        )
    return table


def _cell(number: int | None, absent: str) -> str:
    return absent if number is None else str(number)

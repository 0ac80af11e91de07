"""Watches the books of the pools that may still draw, and shows on metrics whether they balance."""

import structlog
from prometheus_client import Gauge

from services.common.tasks import pause, repeat
from services.pool.books.collector import Auditor
from services.pool.books.findings import Finding

log = structlog.get_logger()
_LOOK_S = 600.0  # at thousands of pools
FINDINGS = Gauge("kuji_books_findings", "What does not add up in a pool; 0: it balances", ["pool"])
OFF_BY = Gauge("kuji_books_off_by", "Units too many or too few of a prize", ["pool", "prize"])


class BooksWatch:
    """Audits the stock of every pool that may still draw, time and again."""

    def __init__(self, auditor: Auditor) -> None:
        self._auditor = auditor

    async def look(self) -> None:
        """Audit each pool once."""
        pool_ids = await self._auditor.live_pool_ids()
        FINDINGS.clear()
        OFF_BY.clear()
        for pool_id in pool_ids:
            _show(pool_id, await self._auditor.audit_stock(pool_id))

    async def look_while_running(self, every_s: float) -> None:
        """Keep looking until cancelled."""
        await pause(every_s)
        await repeat("books", self.look, every_s, _LOOK_S)


def _show(pool_id: int, findings: list[Finding]) -> None:
    FINDINGS.labels(pool_id).set(len(findings))
    for finding in findings:
        log.error("books do not balance", pool_id=pool_id, finding=finding.detail)
        if finding.prize_id is not None:
            OFF_BY.labels(pool_id, finding.prize_id).set(finding.off_by)

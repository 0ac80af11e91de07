"""Watches the books of the pools that may still draw, and shows on metrics whether they balance."""

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import structlog
from prometheus_client import Gauge

from services.common.tasks import pause, repeat
from services.pool.books.collector import Auditor, Progress
from services.pool.books.findings import Finding
from services.pool.books.stock_gauges import StockGauges

log = structlog.get_logger()
_LOOK_S = 600.0  # at thousands of pools
_RESTING_AT_ONCE = 15
FINDINGS = Gauge("kuji_books_findings", "What does not add up in a pool; 0: it balances", ["pool"])
HELD = Gauge("kuji_books_held_units", "Units held back after a loss of the store, of all prizes")
OFF_BY = Gauge("kuji_books_off_by", "Units too many or too few of a prize", ["pool", "prize"])


class _Audited(NamedTuple):
    progress: Progress
    balanced: bool


class BooksWatch:
    """
    Audits the stock of the pools that may still draw, time and again.

    Each look takes those in which something happened since, and those that did not balance; of the
    others a few, in turn. So what it costs does not follow from how many there are.

    Args:
        auditor: Audits one of them.
        resting_at_once: Of those in which nothing happens.
    """

    def __init__(self, auditor: Auditor, resting_at_once: int = _RESTING_AT_ONCE) -> None:
        self._auditor = auditor
        self._resting_at_once = resting_at_once
        # The one that was audited longest ago comes first; before it, those that never were.
        self._audited: dict[int, _Audited] = {}
        self._off: dict[int, set[int]] = {}
        self._shown: set[int] = set()
        self._stock = StockGauges()
        FINDINGS.clear()
        OFF_BY.clear()

    async def look(self) -> None:
        """Audit each pool that is due."""
        HELD.set(await self._auditor.held_units())
        live = await self._auditor.live_pools()
        unknown = live.keys() - self._audited.keys()
        self._audited = {id_: _Audited(live[id_], True) for id_ in sorted(unknown)} | self._audited
        for pool_id in self._audited.keys() - live.keys():
            self._forget(pool_id)
        for pool_id in self._due(live):
            findings, stocks = await self._auditor.audit_stock(pool_id)
            self._show(pool_id, findings)
            self._stock.show(pool_id, stocks)
            self._audited.pop(pool_id, None)
            self._audited[pool_id] = _Audited(live[pool_id], not findings)

    def _due(self, live: Mapping[int, Progress]) -> list[int]:
        audited = self._audited.items()
        # In the order of their audits.
        resting = dict.fromkeys(id_ for id_, known in audited if known == (live[id_], True))
        busy = (id_ for id_ in live if id_ not in resting)
        return [*busy, *islice(resting, self._resting_at_once)]

    def _forget(self, pool_id: int) -> None:
        del self._audited[pool_id]
        self._stock.forget(pool_id)
        self._clear(pool_id)
        if pool_id in self._shown:
            self._shown.remove(pool_id)
            FINDINGS.remove(pool_id)

    def _clear(self, pool_id: int) -> None:
        for prize_id in self._off.pop(pool_id, ()):
            OFF_BY.remove(pool_id, prize_id)

    def _show(self, pool_id: int, findings: list[Finding]) -> None:
        self._clear(pool_id)
        self._shown.add(pool_id)
        FINDINGS.labels(pool_id).set(len(findings))
        for finding in findings:
            log.error("books do not balance", pool_id=pool_id, finding=finding.detail)
            if finding.prize_id is not None:
                OFF_BY.labels(pool_id, finding.prize_id).set(finding.off_by)
                self._off.setdefault(pool_id, set()).add(finding.prize_id)

    async def look_while_running(self, every_s: float) -> None:
        """Keep looking until cancelled."""
        await pause(every_s)
        await repeat("books", self.look, every_s, _LOOK_S)

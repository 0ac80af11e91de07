"""The books: what `kuji reconcile` finds, within the time of an examination."""

import asyncio
import time
from typing import Any

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, unknown, well, wrong
from services.common.postgres import load_queries
from services.pool.books.collector import Auditor
from services.pool.books.findings import Finding, Kind

_queries: Any = load_queries(__file__)
_BUDGET_S = 15.0
_LONG_DRAWS = 200_000  # of a longer ledger, the counters are trusted
_SHOWN = 10
_AGAIN_S = 0.5
_LOST = "redis-lost-or-older-than-it-should-be"
_ANCHORS = {
    Kind.NOT_LOADED: _LOST,
    Kind.REDIS_BEHIND: _LOST,
    Kind.ORDER_STUCK: "an-order-that-hangs",
}


async def balance(patient: Patient) -> list[Symptom]:
    """Units, records and winners agree."""
    assert patient.postgres is not None
    assert patient.redis is not None
    auditor = Auditor(patient.postgres, patient.redis)
    deadline = time.monotonic() + _BUDGET_S
    rows = [tuple(row) async for row in _queries.recorded_draws(patient.postgres)]
    symptoms: list[Symptom] = []
    looked = 0
    for pool_id, draws in rows:
        if time.monotonic() > deadline or len(symptoms) >= _SHOWN:
            break
        looked += 1
        symptoms += [_symptom(one) for one in await _findings(auditor, pool_id, draws)]
    symptoms += [_symptom(one) for one in await auditor.audit_winner_list()]
    if looked < len(rows):
        left = len(rows) - looked
        symptoms.append(unknown(f"{left} of {len(rows)} pools: `kuji reconcile` looks at all"))
    return symptoms or [well(f"the books balance ({looked} pools)")]


async def _findings(auditor: Auditor, pool_id: int, draws: int) -> list[Finding]:
    if draws > _LONG_DRAWS:
        return (await auditor.audit_stock(pool_id)).findings
    found = await auditor.audit_pool(pool_id) or []
    if any(one.kind is Kind.VERSIONS_DIFFER for one in found):  # may be a change on its way
        await asyncio.sleep(_AGAIN_S)
        found = await auditor.audit_pool(pool_id) or []
    return [one for one in found if one.kind is not Kind.HALTED]  # it has a check of its own


def _symptom(finding: Finding) -> Symptom:
    anchor = _ANCHORS.get(finding.kind, "what-reconcile-finds")
    why = "draws are refused, or units are not accounted for"
    if finding.kind is Kind.ORDER_STUCK:
        why = "a buyer waits for what was paid"
    return wrong(str(finding), why, runbook(anchor))

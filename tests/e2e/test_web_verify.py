"""A doubter's journey through /verify, in a real browser against the whole stack."""

import asyncio
import sys
from pathlib import Path

import httpx

from stack.processes import ROOT
from tests.support.browser import journey
from tests.support.edge import caller
from tests.support.stacks import StackUnderTest

JAPANESE_HEADING = "自分で検証する"
_KUJI = "from ops.cli import main; main()"


async def test_doubter_checks_a_draw_and_finds_the_one_that_was_changed(
    stack: StackUnderTest, http: httpx.AsyncClient, admin_token: str, tmp_path: Path
) -> None:
    """
    Before the end the page says that nothing can be checked yet. After it, the own draw and the
    exported ledger follow, receipts included; a ledger with one changed draw names that one. It
    fits a phone; neither axe nor the console complains.
    """
    admin = caller(http, admin_token)
    made = await admin("POST", "/admin/api/activities", json={"name": "Doubted"})
    activity = str(made["activity_id"])
    prize = {"name": "Umbrella", "total_count": 20, "probability": 1}
    await admin("POST", "/admin/api/prizes", json={"activity_id": activity, **prize})
    await admin("PUT", f"/admin/api/activities/{activity}", json={"status": "ongoing"})
    ledger = tmp_path / "ledger.jsonl.gz"
    asked = {
        "edge": stack.edge,
        "activity": activity,
        "username": "web-doubter",
        "token": admin_token,
        "ledger": str(ledger),
        "command": [sys.executable, "-c", _KUJI, "export-ledger", activity, str(ledger)],
        "environment": {"KUJI_HOME": str(stack.home), "PYTHONPATH": str(ROOT)},
    }
    found = await asyncio.to_thread(journey, "verify", asked)
    before, after, whole, changed = (
        found[step] for step in ("before", "after", "whole", "changed")
    )
    assert ("sealed", {"not_yet", "right"}) == (before["verdict"], set(before["outcomes"]))
    assert ["right"] * 4 == after["outcomes"][:4]
    assert ("right", "right") == (after["verdict"], whole["verdict"])
    assert "2 draws" in whole["said"]
    seq = found["drawId"].split("-")[1]
    assert ("wrong", True) == (changed["verdict"], f"Draw {seq} " in changed["said"])
    assert (JAPANESE_HEADING, True) == (found["heading"], "台帳" in found["unfit"])
    assert [] == found["faults"]
    assert [] == found["complaints"]

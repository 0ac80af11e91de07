"""An operator's journey through the administration, in a real browser against the whole stack."""

import asyncio
import hashlib
import os
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.support.browser import journey
from tests.support.edge import caller, register
from tests.support.stacks import StackUnderTest

CHINESE_HEADING = "活动"
# Where those of the document go: PICTURES, a folder; without it, none are taken.
_PICTURES = str(Path(os.environ["PICTURES"]).resolve()) if "PICTURES" in os.environ else ""
_TIMEOUT_S = 800  # a long way, on a crowded machine


async def _viewer(stack: StackUnderTest, http: httpx.AsyncClient) -> dict[str, str]:
    """A fresh account that may look, and nothing else."""
    session = await register(http)
    connection = await asyncpg.connect(stack.postgres)
    try:
        granted = "UPDATE users SET role = 'viewer' WHERE id = $1"
        await connection.execute(granted, int(session["user_id"]))
    finally:
        await connection.close()
    return {"username": session["username"], "password": "correct horse"}


@pytest.mark.timeout(_TIMEOUT_S + 60)
async def test_operator_runs_a_campaign_from_draft_to_published_proof_by_the_page_alone(
    stack: StackUnderTest, http: httpx.AsyncClient, admin_token: str
) -> None:
    """
    The steps of docs/campaign.md. What does not fit is said at its field, an edit that somebody
    else was faster with is merged, each step tells what it means, a viewer is offered no control,
    and the seed that is shown in the end is the one that the commitment was of. Nothing is
    complained of: not by the console, so not by the pages' policy, and not by axe.
    """
    player = await register(http)
    asked = {
        "edge": stack.edge,
        "admin": stack.admin,
        "token": admin_token,
        "player": player["access_token"],
        "viewer": await _viewer(stack, http),
        "shots": _PICTURES,
    }
    found = await asyncio.to_thread(journey, "admin", asked, _TIMEOUT_S)
    assert ("true", 0, "ACTIVITY_NOT_ONGOING") == (
        found["wrong"],
        found["offered"],
        found["refused"],
    )
    assert [3, 3, 3] == [len(found[step]) for step in ("opened", "paused", "ended")]
    assert (31, CHINESE_HEADING) == (found["lines"], found["heading"])
    assert "They balance" == found["books"]
    activities = await caller(http, admin_token)("GET", "/admin/api/activities")
    (ended,) = [one for one in activities["activities"] if one["activity_id"] == found["id"]]
    sealed = hashlib.sha256(bytes.fromhex(found["seed"])).hexdigest()
    assert ("ended", ended["seed_commitment"]) == (ended["status"], sealed)
    assert [] == found["faults"]
    # Refusals that the journey asked for: odds of more than all, a lost race, a second person.
    refusals = [one for one in found["complaints"] if "status of 400" in one or "409" in one]
    assert (3, refusals) == (len(refusals), found["complaints"])

"""An operator's work with goods and records, in a real browser against the whole stack."""

import asyncio
import csv
import re
from io import StringIO
from typing import Any

import httpx
import pytest

from tests.support.browser import journey
from tests.support.edge import Call, caller, register
from tests.support.stacks import StackUnderTest

PRIZE = "Paper lantern"
TITLE = "Lanterns"
REASON = "a script draws for this account"
DRAWS, UNITS = 3, 2


@pytest.fixture
def admin(http: httpx.AsyncClient, admin_token: str) -> Call:
    """Calls as the administrator."""
    return caller(http, admin_token)


async def _drawn_activity(admin: Call, draw: Call) -> str:
    """One whose first draws won all that there is."""
    made = await admin("POST", "/admin/api/activities", json={"name": "Lantern night"})
    activity_id = str(made["activity_id"])
    prize = {"name": PRIZE, "total_count": UNITS, "probability": 1}
    await admin("POST", "/admin/api/prizes", json={"activity_id": activity_id, **prize})
    await admin("PUT", f"/admin/api/activities/{activity_id}", json={"status": "ongoing"})
    for _ in range(DRAWS):
        await draw("POST", "/api/lottery/draw", json={"activity_id": activity_id})
    return activity_id


def _status(complaint: str) -> list[str]:
    """The HTTP status that it tells of, or all of it where it is about something else."""
    return re.findall(r"status of (\d{3})", complaint) or [complaint]


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"))))


async def test_operator_sells_goods_and_reads_what_became_of_them(
    stack: StackUnderTest, http: httpx.AsyncClient, admin: Call
) -> None:
    """
    Goods are made in one form that tells their odds before they are saved, and are edited by two,
    who see each other's version; a card given draws; records and audit log tell it all, on the page
    and in the files. Nothing is complained of: not by the console, so not by the pages' policy, and
    not by axe.
    """
    buyer = await register(http)
    activity = await _drawn_activity(admin, caller(http, buyer["access_token"]))
    asked: dict[str, Any] = {
        "edge": stack.edge,
        "admin": stack.admin,
        "buyer": buyer,
        "activity": activity,
        "draws": DRAWS,
        "title": TITLE,
        "reason": REASON,
    }
    found = await asyncio.to_thread(journey, "goods", asked)
    _check_goods(found)
    _check_files(found, buyer["username"])
    assert ("USER_BLOCKED", None) == (found["whileBlocked"], found.get("afterwards"))
    assert [] == found["faults"]
    # The browser itself tells of the answer that the second editor met.
    assert ["409"] == [code for one in found["complaints"] for code in _status(one)]


def _check_goods(found: dict[str, Any]) -> None:
    assert ("x", ["20%", "80%"], "10") == tuple(
        found["made"][name] for name in ("wrong", "odds", "tickets")
    )
    assert ["Night lanterns", "Day lanterns"] == found["met"]["sides"]
    assert "已被他人修改" in found["met"]["heading"]
    assert ["Day lanterns", "45"] == found["met"]["kept"]
    assert (1, "Used") == (found["drawn"]["status"], found["card"])
    assert found["drawn"]["data"]["title"] in found["record"]


def _check_files(found: dict[str, Any], username: str) -> None:
    records = found["records"]
    everything, filtered = _rows(records["all"]), _rows(records["filtered"])
    assert DRAWS == len(everything)
    assert {username} == {row["username"] for row in everything}
    assert [PRIZE] * UNITS == [row["prize_name"] for row in filtered] == records["rows"]
    assert [row["draw_id"] for row in everything if row["won"] == "true"] == [
        row["draw_id"] for row in filtered
    ]
    assert [found["drawn"]["data"]["title"]] == [
        row["goodslist_title"] for row in _rows(found["boxes"])
    ]
    assert {
        "goods": ["Goods changed"] * 3 + ["Goods created"],
        "boxes": ["Boxes opened"],
        "cards": ["Item cards given"],
        "blocks": ["Block lifted", "Blocked"],
    } == found["actions"]
    assert {"Lanterns", "Night lanterns"} <= set(found["told"])
    subject = f"goods:{found['made']['id']}"
    log = _rows(found["log"])
    assert {subject} == {row["subject"] for row in log}
    assert "goods.create" == log[0]["action"]

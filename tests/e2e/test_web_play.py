"""A player's journey through the pages, in a real browser against the whole stack."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.support.browser import journey
from tests.support.edge import Call, caller
from tests.support.stacks import StackUnderTest

PRIZE = "Lantern"
CHINESE_HEADING = "加入我们"


@pytest.fixture
def admin(http: httpx.AsyncClient, admin_token: str) -> Call:
    """Calls as the administrator."""
    return caller(http, admin_token)


async def _activity(admin: Call, **settings: Any) -> str:
    """An ongoing one whose draws all win."""
    made = await admin("POST", "/admin/api/activities", json={"status": "planned", **settings})
    prize = {"name": PRIZE, "total_count": 20, "probability": 1}
    await admin("POST", "/admin/api/prizes", json={"activity_id": made["activity_id"], **prize})
    path = f"/admin/api/activities/{made['activity_id']}"
    await admin("PUT", path, json={"status": "ongoing"})
    return str(made["activity_id"])


async def test_player_wins_on_a_phone_whatever_is_cut_and_another_sees_it(
    stack: StackUnderTest, admin: Call
) -> None:
    """
    A draw whose answer is lost, and whose page is reloaded while it waits for the next, is the same
    draw; the prize is shown, listed with its code, and seen live elsewhere. Nothing is complained
    of: not by the console, so not by the pages' policy, and not by axe.
    """
    asked = {
        "edge": stack.edge,
        "activity": await _activity(admin, name="Night of lanterns"),
        "ticketed": await _activity(
            admin, name="With tickets", ticket_required=True, ticket_difficulty=8
        ),
        "username": "web-player",
    }
    found = await asyncio.to_thread(journey, "play", asked)
    first = found["draws"][0]["data"]
    assert 1 == len({draw["asked"]["request_id"] for draw in found["draws"]})
    assert [False, True, True] == [draw["data"]["replayed"] for draw in found["draws"]]
    assert {first["draw_id"]} == {draw["data"]["draw_id"] for draw in found["draws"]}
    assert (first["prize"]["prize_code"], PRIZE) == (found["code"], found["seen"])
    assert {"ticket", "solution"} <= found["ticket"].keys()
    assert (2, True) == (len(found["codes"]), found["code"] in found["codes"])
    assert CHINESE_HEADING == found["heading"]
    assert [] == found["faults"]
    # The one that the test has cut itself.
    cut = [one for one in found["complaints"] if "ERR_CONNECTION_RESET" in one]
    assert (1, cut) == (len(cut), found["complaints"])

"""A buyer's journey through the pages of blind boxes, in a real browser against the whole stack."""

import asyncio

import httpx

from tests.support.browser import journey
from tests.support.shop import fresh, open_shop
from tests.support.stacks import StackUnderTest

TITLE = "Night parade"
JAPANESE_HEADING = "箱を開ける。残りが見える。"
HELD_S = 7200  # longer than any run of the journey


async def test_buyer_opens_a_card_on_a_phone_whatever_is_cut_and_finds_all_that_is_theirs(
    stack: StackUnderTest, http: httpx.AsyncClient, admin_token: str
) -> None:
    """
    A card whose answer is lost, and whose page is reloaded while it waits for the next, gives the
    same item; it is listed with its code, as orders are by their number; others see the records and
    for whom the box is reserved; the play shop orders as the administrator who signed in there.
    Nothing is complained of: not by the console, so not by the pages' policy, and not by axe.
    """
    shop = await open_shop(
        http,
        admin_token,
        "ichiban",
        {"title": "Lantern", "stock": 20},
        {"title": "Fan", "stock": 40, "shang_id": 1},
        {"title": "Gold mask", "is_last_prize": True},
        title=TITLE,
        boxes=2,
        protection_seconds=HELD_S,
    )
    order = await shop.order(2, order_num=fresh("web"))
    cards = await shop.cards(2, goods_id=shop.goods_id)
    profile = await shop.user("GET", "/api/user/profile")
    asked = {
        "edge": stack.edge,
        "goods": shop.goods_id,
        "title": TITLE,
        "buyer": {"username": profile["username"], "password": "correct horse"},
        "order": order["order_num"],
        "admin": stack.admin,
    }
    found = await asyncio.to_thread(journey, "boxes", asked)

    assert "58 of 60 left" in found["wall"]
    first = found["draws"][0]["data"]
    requests = [draw["asked"] for draw in found["draws"]]
    assert 3 == len(requests)
    assert [requests[0]] * 3 == requests
    assert requests[0]["item_card_id"] in cards
    assert [first] * 3 == [draw["data"] for draw in found["draws"]]
    assert (first["title"], first["prize_code"]) == (found["item"], found["code"])
    assert {found["code"], found["second"]} == set(found["opened"])
    assert [prize["prize_code"] for prize in order["results"]] == found["ordered"]
    assert JAPANESE_HEADING == found["heading"]
    assert 4 == len(found["records"])
    assert 2 == len(found["bought"])
    assert [] == found["faults"]
    # The one that the test has cut itself.
    cut = [one for one in found["complaints"] if "ERR_CONNECTION_RESET" in one]
    assert (1, cut) == (len(cut), found["complaints"])

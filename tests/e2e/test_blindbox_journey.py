"""Blind boxes through the edge, with every part real: the properties P1–P10."""

import asyncio
import re
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest
from scipy.stats import chisquare

from tests.support.shop import Shop, data_of, fresh, listed, open_shop, refusal_of, stock_of
from tests.support.stacks import StackUnderTest

B7 = {
    "goods_item_id": int,
    "title": str,
    "img_url": str,
    "shang_id": int,
    "shang_title": str,
    "shang_color": str,
    "price": str,
    "sc_money": str,
    "prize_code": str,
    "luck_no": int,
    "draw_time": int,
}
ORDER_PRIZE = {
    "id": int,
    "order_id": int,
    "goodslist_title": str,
    "goodslist_imgurl": str,
    "goodslist_price": str,
    "goodslist_money": str,
    "goodslist_type": int,
    "status": int,
    "addtime": int,
    "prize_code": str,
    "luck_no": int,
}
RECORD = {
    "id": int,
    "nickname": str,
    "shang_id": int,
    "shang_title": str,
    "shang_color": str,
    "goodslist_title": str,
    "goodslist_imgurl": str,
    "luck_no": int,
    "addtime": int,
}
MONEY = re.compile(r"\d+\.\d\d")


def types_of(row: dict[str, Any]) -> dict[str, type]:
    """The JSON types of *row*'s fields."""
    return {name: type(value) for name, value in row.items()}


async def test_order_log_holds_exactly_what_the_order_gave(ichiban: Shop, infinite: Shop) -> None:
    """P1, P9: readable the moment the order is answered, every field filled, names and types."""
    for shop, log in (
        (ichiban, "prize_order_log"),
        (infinite, "infinite_prize_order_log"),
    ):
        placed = await shop.order(4)
        logged = await shop.user(
            "GET", f"/api/blindbox/{log}", params={"order_num": placed["order_num"]}
        )
        assert [(one["prize_code"], one["luck_no"], one["title"]) for one in placed["results"]] == [
            (row["prize_code"], row["luck_no"], row["goodslist_title"]) for row in logged
        ]
        assert [B7] * 4 == [types_of(one) for one in placed["results"]]
        assert [ORDER_PRIZE] * 4 == [types_of(row) for row in logged]
        for row in logged:
            assert MONEY.fullmatch(row["goodslist_price"])
            assert (placed["order_id"], 1, 1) == (
                row["order_id"],
                row["goodslist_type"],
                row["status"],
            )


async def test_record_pages_are_newest_first_and_of_the_level(
    http: httpx.AsyncClient, infinite: Shop
) -> None:
    """P2, P3: pages of any size make up the whole, also right after the draws."""
    placed = await infinite.order(50)
    path = "/api/blindbox/infinite_shang_log"

    async def page(number: int, size: int, shang_id: int = 0) -> Any:
        query = {
            "goods_id": infinite.goods_id,
            "page": number,
            "page_size": size,
            "shang_id": shang_id,
        }
        return (await http.get(path, params=query)).json()["data"]

    first = await page(1, 7)
    assert {**RECORD, "num": int, "draw_id": str} == types_of(first["data"][0])
    assert 8 == first["last_page"]
    rows = [row for number in range(1, 9) for row in (await page(number, 7))["data"]]
    assert sorted((row["id"] for row in rows), reverse=True) == [row["id"] for row in rows]
    assert 50 == len(rows)
    for shang_id in infinite.shangs:
        level = (await page(1, 100, shang_id))["data"]
        assert [row for row in rows if row["shang_id"] == shang_id] == level
        assert sum(one["shang_id"] == shang_id for one in placed["results"]) == len(level)
    assert {"data": [], "last_page": 8} == await page(9, 7)


async def test_daily_records_hold_the_draws_of_today(
    http: httpx.AsyncClient, ichiban: Shop
) -> None:
    """P9, B3: of all boxes, masked, newest first."""
    placed = [await ichiban.order(2, num) for num in (1, 2)]
    records = await data_of(http, "daily_prize_records", goods_id=ichiban.goods_id)
    assert Counter(one["luck_no"] for order in placed for one in order["results"]) == Counter(
        row["luck_no"] for row in records
    )
    assert [2, 2, 1, 1] == [row["num"] for row in records]
    assert all("***" in row["nickname"] for row in records)
    assert {**RECORD, "num": int, "draw_id": str} == types_of(records[0])


async def test_probabilities_are_the_share_of_thestock_of(
    http: httpx.AsyncClient, ichiban: Shop
) -> None:
    """P4, P6: S / T × 100, they sum to 100, and each draw lowers its own item by one."""
    left = dict(ichiban.items)
    for _ in range(5):
        stock = await stock_of(http, ichiban)
        assert left == {item: row["surplus_stock"] for item, row in stock.items()}
        total = sum(units or 0 for units in left.values())
        for row in stock.values():
            assert row["surplus_stock"] == row["weight"]
            assert row["probability"] == pytest.approx(row["surplus_stock"] / total * 100)
        assert 100 == pytest.approx(sum(row["probability"] for row in stock.values()))
        (drawn,) = (await ichiban.order())["results"]
        left[drawn["goods_item_id"]] = (left[drawn["goods_item_id"]] or 0) - 1
    assert {
        "goods_item_id": int,
        "title": str,
        "surplus_stock": int,
        "probability": float,
        "weight": int,
    } == types_of(next(iter(stock.values()))) | {"probability": float}


async def test_outcomes_fit_the_weights(http: httpx.AsyncClient, admin_token: str) -> None:
    """
    P5: 1000 draws fit 1 : 3 (chi-square, p > 0.05).

    A running system's seeds are its own: one honest pool in twenty misses that bound. Of five in a
    row, all miss it once in three million runs; a wrong distribution misses it every time.
    """
    for _ in range(5):
        shop = await open_shop(
            http, admin_token, "infinite", {"weight": 100}, {"weight": 300, "shang_id": 1}
        )
        drawn: Counter[int] = Counter()
        for _ in range(10):
            placed = await shop.order(100)
            drawn.update(one["goods_item_id"] for one in placed["results"])
        if chisquare([drawn[item] for item in shop.items], [250, 750]).pvalue > 0.05:
            return
    pytest.fail("five pools in a row do not fit their weights")


async def test_box_gives_what_is_in_it_when_many_buy_at_once(
    http: httpx.AsyncClient, ichiban: Shop, admin_token: str
) -> None:
    """P7: 30 orders at once share 10 tickets and one last prize."""

    async def buy(number: int) -> list[Any]:
        body = {
            "order_num": fresh(),
            "user_id": 1000 + number,
            "goods_id": ichiban.goods_id,
            "num": 1,
            "count": 1 + number % 3,
        }
        headers = {"authorization": f"Bearer {admin_token}"}
        response = await http.post("/api/blindbox/orders", json=body, headers=headers)
        assert 200 == response.status_code
        answer = response.json()
        assert answer["status"] or "SOLD_OUT" == answer["reason"], answer
        return answer["data"]["results"] if answer["status"] else []

    bought = [one for got in await asyncio.gather(*map(buy, range(30))) for one in got]
    while any(row["surplus_stock"] for row in (await stock_of(http, ichiban)).values()):
        bought += (await ichiban.order())["results"]
    won = Counter(one["goods_item_id"] for one in bought)
    assert ichiban.items == {item: won.pop(item) for item in ichiban.items}
    assert [1] == list(won.values())  # the last prize
    assert 11 == len({one["prize_code"] for one in bought})
    assert all(1 <= one["luck_no"] <= 10 for one in bought)


async def test_order_leaves_its_items_in_postgres(stack: StackUnderTest, ichiban: Shop) -> None:
    """P8: one order_item a draw, with its buyer, item, level, code, source and type."""
    placed = await ichiban.order(3)
    rows = await _until_recorded(stack, placed["order_id"], 3)
    assert [
        (
            ichiban.user_id,
            ichiban.goods_id,
            one["goods_item_id"],
            one["shang_id"],
            one["prize_code"],
            1,
            1,
        )
        for one in placed["results"]
    ] == rows


async def _until_recorded(stack: StackUnderTest, order_id: int, count: int) -> list[Any]:
    connection = await asyncpg.connect(stack.postgres)
    try:
        async with asyncio.timeout(10):
            while True:
                rows = await connection.fetch(
                    "SELECT user_id, goods_id, goodslist_id, shang_id, prize_code, source,"
                    " order_type FROM order_items WHERE order_id = $1 ORDER BY id",
                    order_id,
                )
                if len(rows) == count:
                    return [tuple(row) for row in rows]
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def test_card_draws_once_and_is_used_up(http: httpx.AsyncClient, infinite: Shop) -> None:
    """P10: a valid card draws once; sent again, 20 times at once, it is used."""
    (card, spare) = await infinite.cards(2)
    body = {"goods_id": infinite.goods_id, "item_card_id": card, "request_id": "mine"}
    path = "/api/blindbox/item_card_draw"
    first = await infinite.user("POST", path, json=body)
    assert {**B7, "order_id": int, "proof": dict, "last_prize": type(None)} == types_of(first)
    assert first == await infinite.user("POST", path, json=body)
    refused = await asyncio.gather(
        *[
            refusal_of(infinite.user("POST", path, json={**body, "request_id": ""}))
            for _ in range(20)
        ]
    )
    assert ["ITEM_CARD_USED"] * 20 == refused
    cards = await infinite.user("GET", "/api/blindbox/item_cards")
    assert {card: "used", spare: "unused"} == {one["item_card_id"]: one["status"] for one in cards}
    log = await infinite.user(
        "GET", "/api/blindbox/infinite_prize_order_log", params={"order_num": f"card:{card}"}
    )
    assert [first["prize_code"]] == [row["prize_code"] for row in log]


async def test_order_gives_the_same_items_when_it_comes_again(ichiban: Shop) -> None:
    """The order number is the key: again, at the same time, and with other content."""
    num = fresh()
    placed = await asyncio.gather(*[ichiban.order(2, order_num=num) for _ in range(10)])
    assert [placed[0]] * 10 == placed
    assert "ORDER_CONFLICT" == await refusal_of(ichiban.order(3, order_num=num))


async def test_goods_off_the_shelf_do_not_draw(http: httpx.AsyncClient, ichiban: Shop) -> None:
    """For the very next order; back on the shelf, the same order draws."""
    await listed(http, ichiban)
    path = f"/admin/api/goods/{ichiban.goods_id}"
    await ichiban.admin("PUT", path, json={"on_shelf": False})
    assert "GOODS_OFF_SHELF" == await refusal_of(ichiban.order(order_num="off-shelf-order"))
    async with asyncio.timeout(5):
        while ichiban.goods_id in [one["goods_id"] for one in await data_of(http, "goods")]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await ichiban.admin("PUT", path, json={"on_shelf": True})
    assert 1 == len((await ichiban.order(order_num="off-shelf-order"))["results"])


async def test_box_is_its_buyers_while_protected(http: httpx.AsyncClient, admin_token: str) -> None:
    """Others are told how long to wait; the buyer goes on; other boxes are free."""
    goods = {"protection_seconds": 3600}
    shop = await open_shop(http, admin_token, "ichiban", {"stock": 9}, boxes=2, **goods)
    await shop.order()
    assert "BOX_PROTECTED" == await refusal_of(shop.order(user_id=shop.user_id + 10**6))
    assert 1 == len((await shop.order())["results"])
    assert 1 == len((await shop.order(num=2, user_id=shop.user_id + 10**6))["results"])
    await shop.admin("PUT", f"/admin/api/goods/{shop.goods_id}", json={"protection_seconds": 0})
    assert 1 == len((await shop.order(user_id=shop.user_id + 10**6))["results"])


async def test_draw_is_validated_and_its_seed_revealed_when_the_box_is_empty(
    http: httpx.AsyncClient, admin_token: str
) -> None:
    """B5, X4, X6: valid at once; the full proof comes with the last ticket."""
    shop = await open_shop(http, admin_token, "ichiban", {"stock": 4}, {"is_last_prize": True})
    placed = await shop.order(3)
    goods = await listed(http, shop)
    for one, proof in zip(placed["results"], placed["proofs"], strict=True):
        validation = await data_of(http, f"draws/{proof['draw_id']}/validation")
        assert (True, None) == (validation["valid"], validation["seed"])
        assert (one["luck_no"], proof["odds_weight"], proof["odds_total"]) == (
            validation["luck_no"],
            validation["odds_weight"],
            validation["odds_total"],
        )
        assert goods["boxes"][0]["seed_commitment"] == validation["seed_commitment"]
        assert proof["odds"] == pytest.approx(proof["odds_weight"] / proof["odds_total"])
    last = await shop.order()
    assert 2 == len(last["results"])
    path = f"draws/{last['proofs'][1]['draw_id']}/validation"
    async with asyncio.timeout(30):
        while (validation := await data_of(http, path))["seed"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert validation["valid"]
    assert "SOLD_OUT" == await refusal_of(shop.order())


async def test_goods_show_what_is_left(http: httpx.AsyncClient, ichiban: Shop) -> None:
    """Levels, items, boxes; the last prize is no ticket."""
    mine = await listed(http, ichiban)
    assert ("春箱", "ichiban", "9.90") == (mine["title"], mine["type"], mine["price"])
    assert ["A", "B"] == [shang["title"] for shang in mine["shangs"]]
    assert [3, 1, 7] == [item["stock"] for item in mine["items"]]  # by level
    assert [(1, 10, 10, False), (2, 10, 10, False)] == [
        (box["num"], box["total"], box["left"], box["sold_out"]) for box in mine["boxes"]
    ]
    for kind in ("ichiban", "infinite"):
        goods = await data_of(http, "goods", type=kind)
        assert all(one["type"] == kind for one in goods)

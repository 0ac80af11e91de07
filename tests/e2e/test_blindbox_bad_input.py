"""Blind boxes through the edge: what does not fit is told, and changes nothing."""

from typing import Any

import httpx

from tests.support.shop import Shop, fresh, refusal_of, stock_of

BAD_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"goods_id": 10**9}, "GOODS_NOT_FOUND"),
    ({"goods_id": -1}, "GOODS_NOT_FOUND"),
    ({"num": 3}, "GOODS_NOT_FOUND"),
    ({"num": -1}, "GOODS_NOT_FOUND"),
    ({"num": 0}, "INVALID_ARGUMENT"),
    ({"count": 0}, "INVALID_ARGUMENT"),
    ({"count": -1}, "INVALID_ARGUMENT"),
    ({"count": 101}, "INVALID_ARGUMENT"),
    ({"count": 11}, "SOLD_OUT"),
    ({"order_num": ""}, "INVALID_ARGUMENT"),
    ({"order_num": "x" * 65}, "INVALID_ARGUMENT"),
    ({"order_num": "赏"}, "INVALID_ARGUMENT"),
    ({"order_num": "card:1"}, "INVALID_ARGUMENT"),
    ({"order_type": 2}, "INVALID_ARGUMENT"),
    ({"order_type": 3}, "INVALID_ARGUMENT"),
    ({"user_id": 0}, "INVALID_ARGUMENT"),
    ({"user_id": -5}, "INVALID_ARGUMENT"),
]


async def test_bad_order_is_told_and_draws_nothing(http: httpx.AsyncClient, ichiban: Shop) -> None:
    """Each gets its reason, as HTTP 200 with status 0, and the box is as it was."""
    before = await stock_of(http, ichiban)
    refusals = [await refusal_of(ichiban.order(**{"count": 1, **bad})) for bad, _ in BAD_ORDERS]
    assert [reason for _, reason in BAD_ORDERS] == refusals
    assert before == await stock_of(http, ichiban)


async def test_bad_reads_are_told(
    http: httpx.AsyncClient, ichiban: Shop, infinite: Shop, admin_token: str
) -> None:
    """Unknown goods, pages that are none, somebody else's order, somebody else's card."""
    reads: list[tuple[str, dict[str, Any], str]] = [
        ("infinite_shang_log", {"goods_id": 10**9}, "GOODS_NOT_FOUND"),
        ("infinite_shang_log", {"goods_id": infinite.goods_id, "page": 0}, "INVALID_ARGUMENT"),
        (
            "infinite_shang_log",
            {"goods_id": infinite.goods_id, "page_size": 10**6},
            "INVALID_ARGUMENT",
        ),
        ("infinite_shang_log", {"goods_id": infinite.goods_id, "shang_id": -1}, "INVALID_ARGUMENT"),
        ("daily_prize_records", {"goods_id": 10**9}, "GOODS_NOT_FOUND"),
        ("probabilities", {"goods_id": 10**9, "num": 1}, "GOODS_NOT_FOUND"),
        ("probabilities", {"goods_id": ichiban.goods_id, "num": 9}, "GOODS_NOT_FOUND"),
        ("goods", {"type": "lucky bag"}, "INVALID_ARGUMENT"),
        ("draws/1-0/validation", {}, "INVALID_ARGUMENT"),
        ("draws/999999-1/validation", {}, "NOT_FOUND"),
    ]
    for name, query, reason in reads:
        response = await http.get(f"/api/blindbox/{name}", params=query)
        answer = response.json()
        assert (200, 0, reason, None) == (
            response.status_code,
            answer["status"],
            answer["reason"],
            answer["data"],
        ), (name, query)
    placed = await ichiban.order()
    query = {"order_num": placed["order_num"]}
    assert [] == await infinite.user("GET", "/api/blindbox/prize_order_log", params=query)
    assert [] == await ichiban.user("GET", "/api/blindbox/infinite_prize_order_log", params=query)
    (foreign,) = await infinite.cards()
    body = {"goods_id": infinite.goods_id, "item_card_id": foreign}
    drawing = ichiban.user("POST", "/api/blindbox/item_card_draw", json=body)
    assert "ITEM_CARD_INVALID" == await refusal_of(drawing)
    (other,) = await ichiban.cards(goods_id=ichiban.goods_id)
    body = {"goods_id": infinite.goods_id, "item_card_id": other}
    drawing = ichiban.user("POST", "/api/blindbox/item_card_draw", json=body)
    assert "ITEM_CARD_INVALID" == await refusal_of(drawing)
    headers = {"authorization": f"Bearer {admin_token}"}
    unreadable = await http.post("/api/blindbox/orders", content="{", headers=headers)
    assert (400, "INVALID_ARGUMENT") == (unreadable.status_code, unreadable.json()["reason"])
    assert 401 == (await http.post("/api/blindbox/orders", json={})).status_code


async def test_only_shops_place_orders(ichiban: Shop) -> None:
    """A buyer's own token does not place orders."""
    body = {"order_num": fresh(), "user_id": ichiban.user_id, "goods_id": ichiban.goods_id}
    placing = ichiban.user("POST", "/api/blindbox/orders", json={**body, "num": 1, "count": 1})
    assert "PERMISSION_DENIED" == await refusal_of(placing)

"""A shop with blind boxes on a running stack, as its operator, buyers and visitors see it."""

import asyncio
import itertools
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.edge import Call, caller, register

_numbers = itertools.count(1)


def fresh(prefix: str = "o") -> str:
    """A name never used before."""
    return f"{prefix}-{next(_numbers)}"


@dataclass
class Shop:
    """
    Goods on the shelf, and who buys.

    Args:
        items: Goods item id → units in a box; None: unlimited.
        shangs: Level ids, A first.
    """

    admin: Call
    user: Call
    user_id: int
    goods_id: int
    items: dict[int, int | None]
    shangs: list[int]

    async def order(self, count: int = 1, num: int = 1, **fields: Any) -> Any:
        """What a fresh order of the user's gives."""
        body = {
            "order_num": fresh(),
            "user_id": self.user_id,
            "goods_id": self.goods_id,
            "num": num,
            "count": count,
            **fields,
        }
        return await self.admin("POST", "/api/blindbox/orders", json=body)

    async def cards(self, count: int = 1, **fields: Any) -> list[int]:
        """Fresh item cards of the user's."""
        body = {"user_id": self.user_id, "count": count, **fields}
        issued = await self.admin("POST", "/admin/api/item-cards", json=body)
        return [int(card) for card in issued["item_card_ids"]]


async def open_shop(
    http: httpx.AsyncClient,
    admin_token: str,
    kind: str,
    *items: dict[str, Any],
    boxes: int = 1,
    **goods: Any,
) -> Shop:
    """Goods with levels A and B and these items, opened."""
    admin, session = caller(http, admin_token), await register(http)
    made = await admin(
        "POST", "/admin/api/goods", json={"title": "春箱", "type": kind, "price": "9.90", **goods}
    )
    goods_id = int(made["goods_id"])
    path = f"/admin/api/goods/{goods_id}"
    shangs = [
        int((await admin("POST", f"{path}/shangs", json=shang))["shang_id"])
        for shang in (
            {"title": "A", "color": "#c00000", "sort": 1},
            {"title": "B", "color": "#00c000", "sort": 2},
        )
    ]
    units: dict[int, int | None] = {}
    for item in items:
        body = {"title": "cup", "price": "5.00", "sc_money": "1.50", **item}
        body["shang_id"] = shangs[item.get("shang_id", 0)]
        row = await admin("POST", f"{path}/items", json=body)
        if not item.get("is_last_prize"):
            units[int(row["goods_item_id"])] = item.get("stock")
    await admin("POST", f"{path}/boxes", json={"count": boxes})
    user = caller(http, session["access_token"])
    return Shop(admin, user, int(session["user_id"]), goods_id, units, shangs)


async def data_of(http: httpx.AsyncClient, name: str, **query: Any) -> Any:
    response = await http.get(f"/api/blindbox/{name}", params=query)
    body = response.json()
    assert 1 == body["status"], response.text
    return body["data"]


async def listed(http: httpx.AsyncClient, shop: Shop) -> Any:
    """The shop's goods as the public list has them; it may be a second old."""
    async with asyncio.timeout(5):
        while True:
            for goods in await data_of(http, "goods"):
                if goods["goods_id"] == shop.goods_id:
                    return goods
            await asyncio.sleep(0.1)


async def stock_of(http: httpx.AsyncClient, shop: Shop, num: int = 1) -> dict[int, Any]:
    rows = await data_of(http, "probabilities", goods_id=shop.goods_id, num=num)
    return {row["goods_item_id"]: row for row in rows}


async def refusal_of(call: Awaitable[Any]) -> str:
    """The reason of a call that a blind-box route refuses with HTTP 200."""
    with pytest.raises(AssertionError) as caught:
        await call
    reason = re.search(r'"reason":"(\w+)"', str(caught.value))
    assert reason is not None, caught.value
    return reason[1]

"""The administrator's part: goods on sale, with one box open, and item cards given."""

from dataclasses import dataclass

from demo.boxes.plan import GoodsPlan, ItemPlan
from demo.edge import Edge
from ops.connections import Stores
from services.common.postgres import load_queries

_queries = load_queries(__file__)
_COLORS = ("#c0392b", "#e67e22", "#f1c40f", "#27ae60", "#2980b9", "#8e44ad", "#2c3e50")


@dataclass(frozen=True, slots=True)
class OnSale:
    """Goods on sale, and the pool of their one box."""

    plan: GoodsPlan
    goods_id: int
    pool_id: int


class Shop:
    """
    What an administrator does.

    Args:
        stores: The stack's.
        edge: The stack's.
        token: An administrator's.
    """

    def __init__(self, stores: Stores, edge: Edge, token: str) -> None:
        self._stores = stores
        self._edge = edge
        self._token = token

    async def put_on_sale(self, plan: GoodsPlan) -> OnSale:
        """New goods with their levels and items, and box 1 open."""
        goods_id = await self._create(
            "", "goods_id", title=plan.title, type=plan.type, price=plan.price
        )
        shang_ids = {
            title: await self._create(
                f"/{goods_id}/shangs", "shang_id", title=title, color=color, sort=sort
            )
            for sort, (title, color) in enumerate(zip(plan.levels, _COLORS, strict=False))
        }
        for item in plan.items:
            await self._add_item(goods_id, shang_ids[item.level], item)
        await self._post(f"/admin/api/goods/{goods_id}/boxes", count=1)
        pool_id = await _queries.pool_of_box(self._stores.postgres, goods_id=goods_id)
        return OnSale(plan, goods_id, pool_id)

    async def _add_item(self, goods_id: int, shang_id: int, item: ItemPlan) -> None:
        await self._create(
            f"/{goods_id}/items",
            "goods_item_id",
            title=item.title,
            img_url=f"https://img.example/{item.title.lower().replace(', ', '-')}.png",
            shang_id=shang_id,
            price="30.00",
            sc_money="2.50",
            stock=item.stock,
            weight=item.weight,
            is_last_prize=item.is_last_prize,
        )

    async def give_cards(self, user_id: int, goods_id: int, count: int) -> list[int]:
        """So many item cards for the goods; their ids."""
        given = await self._post(
            "/admin/api/item-cards", user_id=user_id, goods_id=goods_id, count=count
        )
        return [int(card_id) for card_id in given["item_card_ids"]]

    async def _create(self, path: str, id_field: str, **fields: object) -> int:
        return int((await self._post(f"/admin/api/goods{path}", **fields))[id_field])

    async def _post(self, path: str, **fields: object) -> dict[str, str]:
        answer: dict[str, str] = await self._edge.call("POST", path, self._token, fields)
        return answer

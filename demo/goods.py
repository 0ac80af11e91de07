"""The goods on sale: what is in them, and how an administrator puts them on sale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from demo.client import Edge, Player
from demo.system import System, queries

_COLORS = ("#c0392b", "#e67e22", "#f1c40f", "#27ae60", "#2980b9", "#8e44ad", "#2c3e50")


class GoodsItem(NamedTuple):
    """An item; stock None: unlimited; weight None: the surplus stock."""

    level: str
    title: str
    stock: int | None
    weight: int | None = None
    is_last_prize: bool = False


class Goods(NamedTuple):
    """Goods, of which one box is opened; *type*: "ichiban" or "infinite"."""

    title: str
    type: str
    price: str
    items: Sequence[GoodsItem]

    @property
    def levels(self) -> list[str]:
        """Titles of the levels, in order."""
        return list(dict.fromkeys(item.level for item in self.items))

    @property
    def tickets(self) -> int:
        """Tickets of a box with finite stock; the last prize has none."""
        return sum(item.stock or 0 for item in self.items if not item.is_last_prize)


ICHIBAN = Goods(
    "Dragon Tales",
    "ichiban",
    "9.90",
    [
        GoodsItem("A", "Figure, gold", 1),
        GoodsItem("B", "Figure, silver", 2),
        GoodsItem("C", "Lamp", 5),
        GoodsItem("D", "Mug", 12),
        GoodsItem("E", "Towel", 20),
        GoodsItem("F", "Keyring", 40),
        GoodsItem("Last", "Figure, black", 1, is_last_prize=True),
    ],
)
INFINITE = Goods(
    "Endless Capsules",
    "infinite",
    "1.50",
    [
        GoodsItem("S", "Console", 3, weight=20),
        GoodsItem("A", "Poster", 60),
        GoodsItem("B", "Plush", None, weight=120),
        GoodsItem("B", "Badge", None, weight=800),
    ],
)


@dataclass(frozen=True, slots=True)
class OnSale:
    """Goods on sale, and the pool of their one box."""

    goods: Goods
    goods_id: int
    pool_id: int


async def put_on_sale(system: System, token: str, goods: Goods) -> OnSale:
    """New goods with their levels and items, and box 1 open; *token*: an administrator's."""

    async def create(path: str, id_field: str, **fields: object) -> int:
        made = await system.edge.call("POST", f"/admin/api/goods{path}", token, fields)
        return int(made[id_field])

    goods_id = await create("", "goods_id", title=goods.title, type=goods.type, price=goods.price)
    shang_ids = {
        title: await create(f"/{goods_id}/shangs", "shang_id", title=title, color=color, sort=sort)
        for sort, (title, color) in enumerate(zip(goods.levels, _COLORS, strict=False))
    }
    for item in goods.items:
        await create(
            f"/{goods_id}/items",
            "goods_item_id",
            title=item.title,
            img_url=f"https://img.example/{item.title.lower().replace(', ', '-')}.png",
            shang_id=shang_ids[item.level],
            price="30.00",
            sc_money="2.50",
            stock=item.stock,
            weight=item.weight,
            is_last_prize=item.is_last_prize,
        )
    await system.edge.call("POST", f"/admin/api/goods/{goods_id}/boxes", token, {"count": 1})
    pool_id = await queries.pool_of_box(system.stores.postgres, goods_id=goods_id)
    return OnSale(goods, goods_id, pool_id)


async def give_cards(
    edge: Edge, token: str, goods: OnSale, shares: Mapping[Player, int]
) -> list[tuple[Player, int]]:
    """So many item cards for the goods to each player; whose cards there are."""
    cards = []
    for player, count in shares.items():
        body = {"user_id": player.user_id, "goods_id": goods.goods_id, "count": count}
        if count:
            given = await edge.call("POST", "/admin/api/item-cards", token, body)
            cards += [(player, int(card_id)) for card_id in given["item_card_ids"]]
    return cards

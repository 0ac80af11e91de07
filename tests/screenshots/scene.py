"""What there is to be seen: campaigns, blind boxes, and people who draw, the same in every run."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from demo.client import Edge, Json, asked
from demo.goods import GoodsItem
from ops.connections import Login

_PASSWORD = "correct horse"  # of accounts that live for a minute
_PEOPLE = ("haruka", "lin.yue", "mateo", "sofia", "tanaka", "wei.chen", "amelie", "jonas", "priya")
_HERO = "momoko"
_PRIZES: tuple[Json, ...] = (
    {"name": "Espresso machine", "total_count": 3, "probability": 0.02},
    {"name": "Headphones", "total_count": 20, "probability": 0.1},
    {
        "name": "Coffee for a month",
        "description": "Whole beans, every Friday",
        "total_count": 60,
        "probability": 0.35,
    },
)
_BAGS: tuple[Json, ...] = ({"name": "Tote bag", "total_count": 500, "probability": 1},)
_DRAGON = (
    GoodsItem("A", "Dragon figure, gold", 1),
    GoodsItem("B", "Dragon figure, silver", 2),
    GoodsItem("C", "Paper lantern", 5),
    GoodsItem("D", "Enamel mug", 12),
    GoodsItem("E", "Hand towel", 20),
    GoodsItem("F", "Keyring", 40),
    GoodsItem("Last", "Dragon figure, black", 1, is_last_prize=True),
)
_PARADE = (
    GoodsItem("A", "Fox mask", 2),
    GoodsItem("B", "Folding fan", 6),
    GoodsItem("C", "Wind chime", 12),
    GoodsItem("Last", "Fox mask, lacquered", 1, is_last_prize=True),
)
_CAPSULES = (
    GoodsItem("S", "Handheld console", 3, weight=20),
    GoodsItem("A", "Poster", 60),
    GoodsItem("B", "Plush", None, weight=120),
    GoodsItem("C", "Badge", None, weight=800),
)
_COLOURS = ("#c0392b", "#d98218", "#e3b505", "#27805a", "#2c6fad", "#7b4aa0", "#22262e")


class Scene(NamedTuple):
    """Who looks at it, and what the pages' paths name."""

    player: Json
    admin: Json
    names: Mapping[str, str]


async def set_scene(edge: Edge, admin: Login) -> Scene:
    """Everything, on a fresh stack."""
    staff = await _session(edge, "/admin/api/login", admin.model_dump())
    chance = random.Random(2026)  # no secret
    people = [await _registered(edge, name) for name in _PEOPLE]
    hero = await _registered(edge, _HERO)
    maker = _Maker(edge, staff["access_token"], chance)
    names = await maker.campaigns(hero, people) | await maker.boxes(hero, people)
    return Scene(hero, staff, names)


async def _registered(edge: Edge, name: str) -> Json:
    body = {"username": name, "password": _PASSWORD}
    return await _session(edge, "/api/auth/register", body)


async def _session(edge: Edge, path: str, body: Json) -> Json:
    session: Json = (await asked(lambda: edge.call("POST", path, body=body))).answer
    return session


class _Maker:
    """Makes what an operator would, and lets people draw."""

    def __init__(self, edge: Edge, token: str, chance: random.Random) -> None:
        self._edge = edge
        self._token = token
        self._chance = chance

    async def _admin(self, method: str, path: str, **body: object) -> Any:
        return await self._edge.call(method, path, self._token, body)

    async def campaigns(self, hero: Json, people: list[Json]) -> dict[str, str]:
        """Some that are open, one to come, one that is over."""
        summer = await self._activity(
            {
                "name": "Summer festival draw",
                "description": "Three weeks of summer, sixty prizes a day.",
                "end_time": _in_hours(50),
                "max_draws_per_day": 40,
            }
        )
        tote = await self._activity(
            {"name": "Everybody wins", "description": "A bag for each of you."}, prizes=_BAGS
        )
        await self._activity(
            {
                "name": "Members’ morning",
                "description": "With a ticket and a puzzle, against robots.",
                "end_time": _in_hours(3),
                "ticket_required": True,
                "ticket_difficulty": 16,
            }
        )
        await self._activity(
            {"name": "Autumn lanterns", "start_time": _in_hours(26), "end_time": _in_hours(200)},
            status="planned",
        )
        spring = await self._activity({"name": "Spring giveaway"})
        won = await self._draws(spring, [*people, hero], 3)
        await self._draws(summer, people, 5)
        await self._draws(summer, [hero], 6)
        await self._admin("PUT", f"/admin/api/activities/{spring}", status="ended")
        return {"summer": summer, "tote": tote, "spring": spring, "draw": won}

    async def _activity(
        self, settings: Json, status: str = "ongoing", prizes: tuple[Json, ...] = _PRIZES
    ) -> str:
        body = {"status": "planned", **settings}
        made = await self._admin("POST", "/admin/api/activities", **body)
        activity = str(made["activity_id"])
        for prize in prizes:
            await self._admin("POST", "/admin/api/prizes", activity_id=activity, **prize)
        if status != "planned":
            await self._admin("PUT", f"/admin/api/activities/{activity}", status=status)
        return activity

    async def _draws(self, activity: str, people: list[Json], each: int) -> str:
        """So many of each; the id of the last."""
        draw = ""
        for turn in range(each):
            for one in people:
                body = {"activity_id": activity, "request_id": f"{activity}-{turn}"}
                told = await self._edge.call("POST", "/api/lottery/draw", one["access_token"], body)
                draw = told["draw_id"]
        return draw

    async def boxes(self, hero: Json, people: list[Json]) -> dict[str, str]:
        """Two goods in numbered boxes, one of them sold out in a box; one that never ends."""
        capsules = await self._goods(
            {"title": "Endless Capsules", "type": "infinite", "price": "1.50"}, _CAPSULES, 1
        )
        parade = await self._goods(
            {"title": "Night Parade", "type": "ichiban", "price": "6.50"}, _PARADE, 3
        )
        dragon = await self._goods(
            {
                "title": "Dragon Tales",
                "type": "ichiban",
                "price": "9.90",
                "protection_seconds": 3600,
            },
            _DRAGON,
            4,
        )
        await self._orders(capsules, 1, people, 18)
        await self._orders(parade, 1, people[:1], 20)
        await self._orders(parade, 2, people, 9)
        await self._orders(dragon, 1, people[:1], 47)
        await self._orders(dragon, 2, people[1:2], 22)
        await self._orders(parade, 2, [hero], 3, "SHOP-20260704")
        await self._cards(hero, 2, dragon)
        await self._cards(hero, 1)
        await self._open(hero, capsules, await self._cards(hero, 2))
        return {"dragon": dragon, "parade": parade, "capsules": capsules, "order": "SHOP-20260704"}

    async def _goods(self, settings: Json, items: tuple[GoodsItem, ...], boxes: int) -> str:
        made = await self._admin("POST", "/admin/api/goods", **settings)
        path = f"/admin/api/goods/{made['goods_id']}"
        levels = list(dict.fromkeys(item.level for item in items))
        shangs = {
            title: (
                await self._admin("POST", f"{path}/shangs", title=title, color=color, sort=sort)
            )["shang_id"]
            for sort, (title, color) in enumerate(zip(levels, _COLOURS, strict=False))
        }
        for item in items:
            await self._admin(
                "POST",
                f"{path}/items",
                title=item.title,
                shang_id=shangs[item.level],
                price=f"{self._chance.randint(3, 60)}.00",
                stock=item.stock,
                weight=item.weight,
                is_last_prize=item.is_last_prize,
            )
        await self._admin("POST", f"{path}/boxes", count=boxes)
        return str(made["goods_id"])

    async def _orders(
        self, goods: str, num: int, people: list[Json], tickets: int, order_num: str = ""
    ) -> None:
        """So many tickets in all, shared out among *people* in orders of some."""
        number = 0
        while tickets:
            count = min(tickets, self._chance.randint(3, 8))
            buyer = people[number % len(people)]
            await self._admin(
                "POST",
                "/api/blindbox/orders",
                order_num=order_num or f"{goods}-{num}-{number}",
                user_id=buyer["user_id"],
                goods_id=int(goods),
                num=num,
                count=count,
            )
            tickets, number = tickets - count, number + 1

    async def _cards(self, owner: Json, count: int, goods: str = "") -> list[int]:
        fields = {"goods_id": goods} if goods else {}
        issued = await self._admin(
            "POST", "/admin/api/item-cards", user_id=owner["user_id"], count=count, **fields
        )
        return [int(card) for card in issued["item_card_ids"]]

    async def _open(self, owner: Json, goods: str, cards: list[int]) -> None:
        for card in cards:
            body = {"goods_id": int(goods), "item_card_id": card, "request_id": f"card {card}"}
            await self._edge.call(
                "POST", "/api/blindbox/item_card_draw", owner["access_token"], body
            )


def _in_hours(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")

"""What a crowd finds at a running stack, made by its administrator, over its edge."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from demo.client import Edge, Json, Player, log_in, register_players
from ops.connections import Login
from tests.chaos.crowd import Market

Post = Callable[..., Awaitable[Json]]
PLAYERS = 6


class Opened(NamedTuple):
    """The market, who come, and how many units there are of what is scarce."""

    market: Market
    players: Sequence[Player]
    scarce: dict[str, int]


async def open_market(edge: Edge, admin: Login, scarce_units: int) -> Opened:
    """An activity with a scarce prize, goods with a scarce item, and a box that ends."""
    token = await log_in(edge, admin)

    async def post(path: str, **fields: object) -> Json:
        made: Json = await edge.call("POST", f"/admin/api/{path}", token, fields)
        return made

    credentials = {"username": "chaos-login", "password": "correct horse battery"}
    stranger = await edge.call("POST", "/api/auth/register", body=credentials)
    activity_id = int((await post("activities", name="Chaos"))["activity_id"])
    scarce, edited = [
        int((await post("prizes", activity_id=activity_id, is_enabled=True, **fields))["prize_id"])
        for fields in (
            {"name": "Bear", "total_count": scarce_units, "probability": 0.2},
            {"name": "Mug", "total_count": 1_000_000, "probability": 0.3},
        )
    ]
    await edge.call("PUT", f"/admin/api/activities/{activity_id}", token, {"status": "ongoing"})
    infinite, of_infinite = await _goods(
        post, "infinite", {"stock": scarce_units, "weight": 100}, {"weight": 300}
    )
    ichiban, of_box = await _goods(
        post, "ichiban", {"stock": scarce_units // 4}, {"stock": scarce_units}
    )
    players = await register_players(edge, PLAYERS, "chaos")
    return Opened(
        Market(activity_id, edited, infinite, ichiban, int(stranger["user_id"])),
        players,
        {
            f"prize {scarce}": scarce_units,
            f"item {of_infinite[0]}": scarce_units,
            f"item {of_box[0]}": scarce_units // 4,
            f"item {of_box[1]}": scarce_units,
        },
    )


async def _goods(post: Post, kind: str, *items: Json) -> tuple[int, list[int]]:
    goods_id = int((await post("goods", title="Chaos", type=kind, price="9.90"))["goods_id"])
    path = f"goods/{goods_id}"
    shang = await post(f"{path}/shangs", title="A", color="#c0392b", sort=1)
    item_ids = [
        int(
            (await post(f"{path}/items", title="Mug", shang_id=shang["shang_id"], **item))[
                "goods_item_id"
            ]
        )
        for item in items
    ]
    await post(f"{path}/boxes", count=1)
    return goods_id, item_ids

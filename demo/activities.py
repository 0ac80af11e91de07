"""An activity as an operator opens one: through the edge, ongoing once all its prizes are in it."""

from collections.abc import Iterable
from typing import NamedTuple

from demo.client import Edge


class Prize(NamedTuple):
    """A prize: its name, units, and chance of one draw, 0…1."""

    name: str
    units: int
    probability: float


class OpenActivity(NamedTuple):
    """An activity from which can be drawn; its prizes' ids are in their order."""

    activity_id: int
    pool_id: int
    prize_ids: tuple[int, ...]


async def open_activity(
    edge: Edge, token: str, prizes: Iterable[Prize], settings: dict[str, object]
) -> OpenActivity:
    """
    A new activity with *prizes*.

    Args:
        token: An administrator's.
        settings: Its name, and what else is to differ from the usual.
    """
    activity = await edge.call("POST", "/admin/api/activities", token, settings)
    activity_id = int(activity["activity_id"])
    prize_ids = []
    for prize in prizes:
        body: dict[str, object] = {
            "activity_id": activity_id,
            "name": prize.name,
            "total_count": prize.units,
            "probability": prize.probability,
        }
        made = await edge.call("POST", "/admin/api/prizes", token, body)
        prize_ids.append(int(made["prize_id"]))
    path = f"/admin/api/activities/{activity_id}"
    await edge.call("PUT", path, token, {"status": "ongoing"})
    return OpenActivity(activity_id, int(activity["pool_id"]), tuple(prize_ids))

"""The administrator's part: an activity with its prizes, opened for draws."""

from dataclasses import dataclass

from demo.edge import Edge
from demo.lottery.plan import Plan


@dataclass(frozen=True, slots=True)
class Campaign:
    """An open activity, and the pool that it draws from."""

    activity_id: int
    pool_id: int
    name: str


async def open_campaign(edge: Edge, token: str, plan: Plan, name: str) -> Campaign:
    """A new activity with the plan's prizes. It opens once all of them are in it."""
    activity = await edge.call(
        "POST", "/admin/api/activities", token, {"name": name, "status": "paused"}
    )
    activity_id = int(activity["activity_id"])
    for prize in plan.prizes:
        body = {
            "activity_id": activity_id,
            "name": prize.name,
            "total_count": prize.units,
            "probability": prize.probability,
        }
        await edge.call("POST", "/admin/api/prizes", token, body)
    opened = {"status": "ongoing"}
    await edge.call("PUT", f"/admin/api/activities/{activity_id}", token, opened)
    return Campaign(activity_id, int(activity["pool_id"]), name)

"""kuji smoke on a running stack: it may be repeated, and leaves only what it says."""

import httpx

from tests.support.command import run_kuji
from tests.support.history import eventually
from tests.support.stacks import StackUnderTest


async def test_smoke_test_plays_a_draw_and_leaves_no_activity_open(
    stack: StackUnderTest, http: httpx.AsyncClient
) -> None:
    """Told where the edge is, or finding it; an ended activity stays, with two of three units."""
    told = {
        "KUJI_EDGE_URL": stack.edge,
        "KUJI_ADMIN_USERNAME": stack.admin["username"],
        "KUJI_ADMIN_PASSWORD": stack.admin["password"],
    }
    for environment in (told, {"KUJI_HOME": str(stack.home)}):
        code, out, _ = await run_kuji("smoke", **environment)
        assert (0, "✓ all is well") == (code, out.splitlines()[-1]), out
    listed = (await http.get("/api/lottery/activities")).json()["data"]["activities"]
    smokes = [each for each in listed if each["name"].startswith("Smoke test")]
    assert ["ended", "ended"] == [each["status"] for each in smokes]
    for each in smokes:

        async def is_told(activity_id: str = each["activity_id"]) -> bool:
            shown = await http.get(f"/api/lottery/prizes?activity_id={activity_id}")
            (prize,) = shown.json()["data"]["prizes"]
            return (3, 1) == (prize["total_count"], prize["remaining_count"])

        await eventually(is_told, timeout_s=20)  # a page may be a second old

"""The main job through the edge, with every part real: register, configure, draw, read back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import httpx
import jwt
import pytest
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

from tests.support.edge import Call, caller, log_in_admin, register
from tests.support.stacks import StackUnderTest


@pytest.fixture
async def session(http: httpx.AsyncClient) -> dict[str, Any]:
    """A fresh user's session."""
    return await register(http)


@pytest.fixture
def user(http: httpx.AsyncClient, session: dict[str, Any]) -> Call:
    """Calls as that user."""
    return caller(http, session["access_token"])


@pytest.fixture
async def admin(stack: StackUnderTest, http: httpx.AsyncClient) -> Call:
    """Calls as the administrator."""
    return caller(http, await log_in_admin(http, stack.admin))


@pytest.fixture
async def activity_id(admin: Call) -> str:
    """An ongoing activity with one prize of 5 units that every draw wins."""
    activity = await admin(
        "POST", "/admin/api/activities", json={"name": "赏", "status": "ongoing"}
    )
    prize = {
        "activity_id": activity["activity_id"],
        "name": "cup",
        "total_count": 5,
        "probability": 1,
    }
    await admin("POST", "/admin/api/prizes", json=prize)
    return str(activity["activity_id"])


async def _until(read: Callable[[], Awaitable[Any]]) -> Any:
    """The first truthy result of *read*."""
    async with asyncio.timeout(10):
        while not (result := await read()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return result


async def test_draw_is_won_and_read_back_everywhere(
    user: Call, admin: Call, http: httpx.AsyncClient, activity_id: str
) -> None:
    """A win is in its result, the user's history, the global list and the statistics."""
    drawn = await user("POST", "/api/lottery/draw", json={"activity_id": activity_id})
    assert (True, "cup", 1.0) == (drawn["won"], drawn["prize"]["name"], drawn["odds"])

    result = await user("GET", f"/api/lottery/result/{drawn['draw_id']}")
    assert drawn["prize"]["prize_code"] == result["prize"]["prize_code"]

    async def listed() -> Any:
        path = f"/api/lottery/global-history?activity_id={activity_id}"
        return (await http.get(path)).json()["data"]["winners"]

    winner = (await _until(listed))[0]
    assert (drawn["draw_id"], "cup") == (winner["draw_id"], winner["prize_name"])
    assert "***" in winner["user_name"]

    history = await user("GET", f"/api/user/lottery-history?activity_id={activity_id}")
    assert [drawn["draw_id"]] == [record["draw_id"] for record in history["records"]]

    statistics = await admin("GET", f"/admin/api/statistics?activity_id={activity_id}")
    assert (1, 1, True) == (statistics["draws"], statistics["wins"], statistics["books_balance"])


async def test_draw_is_a_miss_with_null_prize_when_sold_out(user: Call, activity_id: str) -> None:
    """The units are won, not one more, and a miss shows null."""
    path, body = "/api/lottery/draw", {"activity_id": activity_id}
    draws = await asyncio.gather(*[user("POST", path, json=body) for _ in range(8)])
    assert 5 == sum(draw["won"] for draw in draws)
    assert [None] * 3 == [draw["prize"] for draw in draws if not draw["won"]]
    assert [None] * 8 == [draw["draws_left"] for draw in draws]


async def test_draw_is_replayed_when_its_request_id_repeats(user: Call, activity_id: str) -> None:
    """A retry through the edge gives the same draw."""
    body = {"activity_id": activity_id, "request_id": "once"}
    first, second = [await user("POST", "/api/lottery/draw", json=body) for _ in range(2)]
    assert (first["draw_id"], False, True) == (
        second["draw_id"],
        first["replayed"],
        second["replayed"],
    )


async def test_draw_through_stubs_is_seen_through_the_edge(
    stack: StackUnderTest, session: dict[str, Any], user: Call, activity_id: str
) -> None:
    """gRPC and JSON are two faces of one draw."""
    async with grpc.aio.insecure_channel(stack.grpc["draw"]) as channel:
        response = await draw_pb2_grpc.DrawServiceStub(channel).Draw(
            draw_pb2.DrawRequest(activity_id=int(activity_id), request_id="stub"),
            metadata=[("authorization", f"Bearer {session['access_token']}")],
            timeout=5,
        )
    seen = await user("GET", f"/api/lottery/result/{response.result.draw_id}")
    assert response.result.prize.prize_code == seen["prize"]["prize_code"]


async def test_pause_is_told_with_the_status(
    user: Call, admin: Call, http: httpx.AsyncClient, session: dict[str, Any], activity_id: str
) -> None:
    """The very next draw after a pause is refused, and says why."""
    await admin("PUT", f"/admin/api/activities/{activity_id}", json={"status": "paused"})
    headers = {"authorization": f"Bearer {session['access_token']}"}
    body = {"activity_id": activity_id}
    refused = (await http.post("/api/lottery/draw", json=body, headers=headers)).json()
    assert ("ACTIVITY_NOT_ONGOING", {"status": "paused"}) == (
        refused["reason"],
        refused["metadata"],
    )


async def test_winner_is_pushed_to_a_listening_browser(
    http: httpx.AsyncClient, user: Call, activity_id: str
) -> None:
    """A stream opens before anybody wins; from then on it shows each win by itself, unbuffered."""
    path = f"/api/lottery/global-history/stream?activity_id={activity_id}"
    async with http.stream("GET", path) as response:
        assert "text/event-stream" == response.headers["content-type"]
        draw = await user("POST", "/api/lottery/draw", json={"activity_id": activity_id})
        assert draw["won"]
        lines = response.aiter_lines()
        event = await anext(line async for line in lines if line.startswith("data: "))
    assert draw["draw_id"] == json.loads(event.removeprefix("data: "))["draw_id"]


async def test_profile_shows_null_before_the_first_draw(user: Call) -> None:
    """What is not there yet is null, not missing."""
    profile = await user("GET", "/api/user/profile")
    assert (None, "") == (profile["last_lottery_at"], profile["email"])


async def test_token_is_verified_by_the_published_keys(
    http: httpx.AsyncClient, session: dict[str, Any]
) -> None:
    """Anyone can check a token against the key set that the edge serves."""
    keys = jwt.PyJWKSet.from_dict((await http.get("/.well-known/jwks.json")).json())
    token = session["access_token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="kuji", issuer="kuji")
    assert (str(session["user_id"]), "user") == (claims["sub"], claims["role"])


async def test_edge_says_that_it_is_healthy(http: httpx.AsyncClient) -> None:
    """A load balancer may ask without a token."""
    assert 200 == (await http.get("/healthz")).status_code

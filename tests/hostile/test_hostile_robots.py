"""A robot farm at an opening: nobody in it draws more than an honest user could."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import httpx

from services.draw.lottery.draw_tickets import TicketClaims, TicketSeal
from stack.home import Home
from tests.hostile.robots import TRICKS, Arena, Player, Robot, solved, unexpected
from tests.support.command import run_kuji
from tests.support.edge import Call, caller, log_in_admin
from tests.support.stacks import StackUnderTest

ROBOTS, HONEST = 300, 10
DRAWS, COOLDOWN_S, SPREAD_MS, DIFFICULTY = 3, 1, 400, 8
_ROBOTS_OF_CLIENT = 10
_ROUNDS = 1
_RECORDED_S = 30
_CALL = aiohttp.ClientTimeout(sock_connect=30, sock_read=30)


class HonestUser(Player):
    """One that waits as it is told; how long its calls took."""

    def __init__(self, arena: Arena, http: aiohttp.ClientSession, token: str) -> None:
        super().__init__(arena, http, token, lambda: "")
        self.took_s: list[float] = []

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """As Player, with a clock; whatever others do, its connections do not break."""
        start = time.monotonic()
        answer = await super().post(path, **body)
        self.took_s.append(time.monotonic() - start)
        return answer

    async def play(self) -> None:
        """Draw as often as it may."""
        left = DRAWS
        while left:
            issued = await self.ticket()
            answer: dict[str, Any] = await self.draw(**solved(issued)) if issued else {}
            while answer.get("reason") == "COOLDOWN":
                await asyncio.sleep(int(answer["metadata"]["retry_after_ms"]) / 1000)
                answer = await self.draw(**solved(issued))
            if answer.get("reason") == "TICKET_EXPIRED":
                continue  # the machine was slow; a fresh one, as the answer says
            assert answer.get("status"), answer
            left -= 1


@asynccontextmanager
async def _players(
    arena: Arena, edge: str, tokens: Sequence[str]
) -> AsyncIterator[tuple[list[Robot], list[HonestUser]]]:
    async with AsyncExitStack() as opened:

        async def client() -> aiohttp.ClientSession:
            fresh = aiohttp.ClientSession(edge, timeout=_CALL)
            return await opened.enter_async_context(fresh)

        clients = [await client() for _ in range(ROBOTS // _ROBOTS_OF_CLIENT)]
        robots = [
            Robot(arena, clients[number % len(clients)], token, number)
            for number, token in enumerate(tokens[:ROBOTS])
        ]
        own = await client()
        yield robots, [HonestUser(arena, own, token) for token in tokens[ROBOTS:]]


async def _tokens(stack: StackUnderTest, folder: Path) -> list[str]:
    variables = {"KUJI_HOME": str(stack.home)}
    count, file = str(ROBOTS + HONEST), folder / "tokens"
    for arguments in (
        ["create", "--count", count, "--prefix", "robot_"],
        ["tokens", "--count", count, "--prefix", "robot_", "--out", file],
    ):
        ran = await run_kuji("users", *arguments, **variables)
        assert 0 == ran.code, ran.err
    return file.read_text().split()


async def _activity(admin: Call) -> int:
    made = await admin(
        "POST",
        "/admin/api/activities",
        json={
            "name": "Opening",
            "start_time": (datetime.now(UTC) + timedelta(seconds=1)).isoformat(),
            "max_draws_per_user": DRAWS,
            "cooldown_seconds": COOLDOWN_S,
            "ticket_required": True,
            "ticket_difficulty": DIFFICULTY,
            "ticket_spread_ms": SPREAD_MS,
        },
    )
    activity_id = int(made["activity_id"])
    prize = {"activity_id": activity_id, "name": "Bear", "total_count": 99999, "probability": 0.5}
    await admin("POST", "/admin/api/prizes", json=prize)
    return activity_id


async def _until_open(user: Player) -> None:
    while not await user.ticket():  # noqa: ASYNC110  # no event tells of it
        await asyncio.sleep(0.1)


async def _attack(
    admin: Call, arena: Arena, robots: Sequence[Robot], honest: Sequence[HonestUser]
) -> None:
    """Before the opening, in it, and in the next one, where honest users draw, too."""
    path = f"/admin/api/activities/{arena.activity_id}"
    await asyncio.gather(*(robot.run(1) for robot in robots), _until_open(honest[0]))
    await asyncio.gather(*(robot.run(1) for robot in robots))
    await admin("PUT", path, json={"status": "paused"})
    await admin("PUT", path, json={"status": "ongoing"})
    await asyncio.gather(
        *(user.play() for user in honest), *(robot.run(_ROUNDS) for robot in robots)
    )
    for robot in robots[: len(TRICKS)]:  # each trick once more: a crowd's tickets may all be late
        await robot.run(1)


async def _recorded(stack: StackUnderTest, activity_id: int, draws: int) -> list[asyncpg.Record]:
    postgres = await asyncpg.connect(stack.postgres)
    try:
        async with asyncio.timeout(_RECORDED_S):
            while True:
                rows: list[asyncpg.Record] = await postgres.fetch(
                    "SELECT pool_id || '-' || seq AS draw_id, user_id, request_id, created_at"
                    " FROM lottery_records WHERE activity_id = $1 ORDER BY seq",
                    activity_id,
                )
                if len(rows) >= draws:
                    return rows
                await asyncio.sleep(0.1)
    finally:
        await postgres.close()


def _p99_ms(users: Sequence[HonestUser]) -> float:
    took_s = sorted(seconds for user in users for seconds in user.took_s)
    return 1000 * took_s[int(len(took_s) * 0.99)]


async def test_robots_draw_no_more_than_honest_users_could(
    hostile_stack: StackUnderTest, tmp_path: Path
) -> None:
    """
    E: forged, shared, hoarded, unsolved and replayed tickets, and none, draw nothing.

    What robots do draw, they draw as an honest user does: with a ticket of their own, in its
    opening and time, its puzzle solved, within cooldown and quota. Honest users draw all they may.
    """
    tokens = await _tokens(hostile_stack, tmp_path)
    async with httpx.AsyncClient(base_url=hostile_stack.edge, timeout=30) as http:
        admin = caller(http, await log_in_admin(http, hostile_stack.admin))
        arena = Arena(await _activity(admin))
        async with _players(arena, hostile_stack.edge, tokens) as (robots, honest):
            await _attack(admin, arena, robots, honest)
    calls = sum(sum(told.values()) for told in arena.told.values())
    print(f"{ROBOTS} robots, {calls} draws asked for: {dict(arena.told)}")
    print(f"honest users: p99 {_p99_ms(honest):.0f} ms of {sum(len(u.took_s) for u in honest)}")
    assert {} == unexpected(arena.told)

    rows = await _recorded(hostile_stack, arena.activity_id, len(arena.drawn))
    users = {row["draw_id"]: {row["user_id"]} for row in rows}
    assert arena.drawn == {draw_id: users.get(draw_id) for draw_id in arena.drawn}
    key = Home(hostile_stack.home).secrets()["KUJI_CODE_KEY"]
    _check_tickets(TicketSeal([key]), rows)
    drawn_at: dict[int, list[datetime]] = defaultdict(list)
    for row in rows:
        drawn_at[row["user_id"]].append(row["created_at"])
    assert DRAWS >= max(map(len, drawn_at.values()))
    pauses = [later - one for moments in drawn_at.values() for one, later in pairwise(moments)]
    assert timedelta(seconds=COOLDOWN_S) <= min(pauses)
    assert {DRAWS} == {len(drawn_at[user.user_id]) for user in honest}


def _check_tickets(seal: TicketSeal, rows: Sequence[asyncpg.Record]) -> None:
    """Each draw was made with a genuine ticket of its user's, in its time; of two openings."""
    claims: list[TicketClaims] = [seal.read(row["user_id"], row["request_id"]) for row in rows]
    assert len(rows) == len({row["request_id"] for row in rows})
    assert 2 == len({one.opening_ms for one in claims})
    for one, row in zip(claims, rows, strict=True):
        drawn_ms = round(row["created_at"].timestamp() * 1000)
        assert one.opening_ms <= one.not_before_ms <= drawn_ms < one.expires_ms
        assert DIFFICULTY == one.difficulty

"""
Robots with accounts of their own, before and in an opening that asks for draw tickets.

Each goes through the tricks, one after the other, from an address that it makes up for each call.
"""

import asyncio
import base64
import json
import secrets
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kuji.puzzle import solve

_AT_ONCE = 3
_KEPT = 2
_PAUSE_S = 0.3
_CUT_OFF = "cut off"
# What any call may be told: when nothing draws, and when there is too much of everything.
_ANYWAY = {
    *("ACTIVITY_NOT_ONGOING", "RATE_LIMITED", "OVERLOADED", "UNAVAILABLE", "QUOTA_SPENT"),
    _CUT_OFF,
}


@dataclass
class Arena:
    """
    What robots and honest users have in common.

    Args:
        activity_id: Where all want to draw.
        pot: Tickets that robots share, newest last: whose, and the ticket.
        told: By trick: how often which reason was told, or OK.
        drawn: By draw id: who was told that it is theirs.
    """

    activity_id: int
    pot: deque[tuple[int, dict[str, Any]]] = field(default_factory=lambda: deque(maxlen=50))
    told: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    drawn: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))


class Player:
    """
    An account at the edge.

    Args:
        forwarded: Makes up where its calls come from.
    """

    def __init__(
        self, arena: Arena, http: aiohttp.ClientSession, token: str, forwarded: Callable[[], str]
    ) -> None:
        payload = token.split(".")[1]
        self.arena = arena
        self.user_id = int(json.loads(base64.urlsafe_b64decode(payload + "=="))["sub"])
        self._http = http
        self._token = token
        self._forwarded = forwarded

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The envelope of the answer."""
        headers = {"authorization": f"Bearer {self._token}"}
        if address := self._forwarded():
            headers["x-forwarded-for"] = address
        async with self._http.post(path, json=body, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
        return answer

    async def ticket(self) -> dict[str, Any]:
        """A ticket's fields; without "ticket" where there is none now."""
        answer = await self.post("/api/lottery/ticket", activity_id=self.arena.activity_id)
        return answer["data"] or {}

    async def draw(self, **body: Any) -> dict[str, Any]:
        """The envelope of a draw, which is noted."""
        answer = await self.post("/api/lottery/draw", **body)
        if answer["status"]:
            self.arena.drawn[answer["data"]["draw_id"]].add(self.user_id)
        return answer


def made_up_address() -> str:
    """Another one each time."""
    return ".".join(str(byte) for byte in secrets.token_bytes(4))


class Robot(Player):
    """
    One that tries everything but waiting.

    Args:
        first: Which trick comes first.
    """

    def __init__(self, arena: Arena, http: aiohttp.ClientSession, token: str, first: int) -> None:
        super().__init__(arena, http, token, made_up_address)
        self.hoard: list[dict[str, Any]] = []  # its first tickets
        self._next = first

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """As Player; a connection that breaks is what robots may come to."""
        try:
            return await super().post(path, **body)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            return {"status": 0, "reason": _CUT_OFF, "data": None}

    async def ticket(self) -> dict[str, Any]:
        """As Player; the first ones are kept."""
        issued = await super().ticket()
        if issued and len(self.hoard) < _KEPT:
            self.hoard.append(issued)
        return issued

    async def run(self, rounds: int) -> None:
        """Try one trick after the other, where it left off."""
        for _ in range(rounds):
            trick = TRICKS[self._next % len(TRICKS)]
            answers = await trick(self)
            reasons = (answer.get("reason") or "OK" for answer in answers)
            self.arena.told[trick.__name__].update(reasons)
            self._next += 1
            await asyncio.sleep(_PAUSE_S)

    async def all_at_once(self, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The envelopes of many draws sent together."""
        return await asyncio.gather(*(self.draw(**body) for body in bodies))


def solved(issued: dict[str, Any]) -> dict[str, str]:
    """What a draw with this ticket holds."""
    return {"ticket": issued["ticket"], "solution": solve(issued["ticket"], issued["difficulty"])}


async def without_ticket(robot: Robot) -> list[dict[str, Any]]:
    """Hammer the draw, with names of its own or none."""
    activity_id = robot.arena.activity_id
    named = {"activity_id": activity_id, "request_id": secrets.token_hex(8)}
    return await robot.all_at_once([{"activity_id": activity_id}, named])


async def forged(robot: Robot) -> list[dict[str, Any]]:
    """One that is made up, one without a puzzle, one for another time, one spelled otherwise."""
    forgeries = [base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()]
    if issued := await robot.ticket():
        packed = base64.urlsafe_b64decode(issued["ticket"])
        easy = packed[:1] + b"\0" + packed[2:]
        late = packed[:22] + b"\xff\xff\xff\xff" + packed[26:]
        forgeries += [base64.urlsafe_b64encode(one).decode() for one in (easy, late)]
        forgeries.append(issued["ticket"] + "==")
    return await robot.all_at_once([{"ticket": one} for one in forgeries])


async def shared(robot: Robot) -> list[dict[str, Any]]:
    """Draw with what others asked for."""
    if issued := await robot.ticket():
        robot.arena.pot.append((robot.user_id, issued))
    others = [issued for user_id, issued in robot.arena.pot if user_id != robot.user_id]
    return await robot.all_at_once([solved(issued) for issued in others[-_AT_ONCE:]])


async def unsolved(robot: Robot) -> list[dict[str, Any]]:
    """Skip the puzzle, or guess."""
    issued = await robot.ticket()
    if not issued:
        return []
    guess = solve(issued["ticket"], issued["difficulty"]) + "x"
    return await robot.all_at_once(
        [{"ticket": issued["ticket"]}, {"ticket": issued["ticket"], "solution": guess}]
    )


async def hoarded(robot: Robot) -> list[dict[str, Any]]:
    """Keep tickets of one opening for the next."""
    if not robot.hoard:
        await robot.ticket()
    return await robot.all_at_once([solved(issued) for issued in robot.hoard])


async def replayed(robot: Robot) -> list[dict[str, Any]]:
    """One ticket many times at once."""
    issued = await robot.ticket()
    return await robot.all_at_once([solved(issued)] * _AT_ONCE) if issued else []


async def hurried(robot: Robot) -> list[dict[str, Any]]:
    """Many tickets, all at once."""
    tickets = await asyncio.gather(*(robot.ticket() for _ in range(_AT_ONCE)))
    return await robot.all_at_once([solved(issued) for issued in tickets if issued])


Trick = Callable[[Robot], Awaitable[list[dict[str, Any]]]]
TRICKS: tuple[Trick, ...] = (
    without_ticket,
    forged,
    shared,
    unsolved,
    hoarded,
    replayed,
    hurried,
)
# What each trick has to come to at least once, and what it may come to besides.
EXPECTED: dict[str, tuple[set[str], set[str]]] = {
    "without_ticket": ({"TICKET_REQUIRED"}, set()),
    "forged": ({"TICKET_INVALID"}, set()),
    "shared": ({"TICKET_INVALID"}, set()),
    "unsolved": ({"PUZZLE_UNSOLVED"}, {"TICKET_EXPIRED", "OK", "COOLDOWN"}),
    "hoarded": ({"TICKET_EXPIRED"}, {"OK", "COOLDOWN"}),
    "replayed": ({"OK"}, {"TICKET_EXPIRED", "COOLDOWN"}),
    "hurried": ({"OK"}, {"TICKET_EXPIRED", "COOLDOWN"}),
}


def unexpected(told: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """By trick, what it came to and should not have, or should have come to and did not."""
    found = {}
    for name, (needed, allowed) in EXPECTED.items():
        wrong = Counter(
            {
                reason: count
                for reason, count in told[name].items()
                if reason not in needed | allowed | _ANYWAY
            }
        )
        wrong.update({f"no {reason}": 1 for reason in needed - told[name].keys()})
        if wrong:
            found[name] = wrong
    return found

"""The verdict over a stack that went through faults, from outside: its edge and its commands."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from demo.client import Edge, Json, Player
from stack.processes import ROOT
from tests.chaos.crowd import Crowd
from tests.chaos.market import Opened
from tests.chaos.told import NO_ANSWER
from tests.support.stacks import StackUnderTest

_RECORDED_S = 120.0
_COMMAND_S = 120.0
_REVEALED_S = 60.0
_NOT_YET = 2  # exit code: the seed is not revealed
_ASKED_AGAIN = 20
_SERVICES = ("auth", "draw", "draw-2", "admin", "history", "recorder")


@dataclass
class Verdict:
    """
    What was found, each by a sentence; nothing at all is right.

    Args:
        draws: How many were answered.
        orders: Likewise.
        lost: Answered, and not there, or not so.
        doubled: There twice.
        oversold: More than there was.
        internal: Defects: INTERNAL, and what the logs call an error.
        hung_up: 499, and calls that ended without a word.
        logged_out: 401 for a good token.
        untrue: What else nobody may be told.
        hands: What did not become well by itself.
        unreached: Faults that there was no time for.
    """

    draws: int = 0
    orders: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    oversold: list[str] = field(default_factory=list)
    internal: list[str] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    logged_out: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    hands: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)

    def found(self) -> dict[str, list[str]]:
        """What was found, by what it is called."""
        return {
            "lost": self.lost,
            "doubled": self.doubled,
            "oversold": self.oversold,
            "INTERNAL": self.internal,
            "499 or no answer": self.hung_up,
            "401 for a good token": self.logged_out,
            "told otherwise untrue": self.untrue,
            "hands needed": self.hands,
            "not reached": self.unreached,
        }

    def sentences(self) -> list[str]:
        """All that was found."""
        return [f"{name}: {one}" for name, found in self.found().items() for one in found]

    def tell(self, untrue: Iterable[str]) -> None:
        """Add what somebody was told, and nobody may be."""
        for sentence in untrue:
            if "INTERNAL" in sentence:
                self.internal.append(sentence)
            elif any(word in sentence for word in (" 499", NO_ANSWER, "bare")):
                self.hung_up.append(sentence)
            elif " 401" in sentence:
                self.logged_out.append(sentence)
            else:
                self.untrue.append(sentence)


async def judge(
    stack: StackUnderTest, edge: Edge, crowd: Crowd, opened: Opened, alarms: Collection[str]
) -> Verdict:
    """
    The verdict; the crowd has stopped, and no fault holds.

    Args:
        alarms: Parts of lines of the logs that had to be there.
    """
    verdict = Verdict()
    for player in opened.players:
        await _judge_draws(edge, crowd, opened, player, verdict)
        await _judge_orders(edge, crowd, player, verdict)
    _judge_scarce(crowd, opened, verdict)
    verdict.internal += _log_errors(stack, alarms)
    verdict.untrue += _missing_alarms(stack, alarms)
    verdict.hands += await _books(stack, edge, crowd.admin_token, opened)
    return verdict


async def _judge_draws(
    edge: Edge, crowd: Crowd, opened: Opened, player: Player, verdict: Verdict
) -> None:
    answered = crowd.draws[player]
    verdict.draws += len(answered)
    recorded = await _recorded(edge, opened, player, len(answered))
    for request_id, drawn in answered.items():
        found = recorded.get(drawn["draw_id"])
        if found is None or found["won"] != drawn["won"]:
            verdict.lost.append(f"{player.username}'s {request_id}: {drawn} is {found}")
    if len(recorded) > len(answered):
        surplus = len(recorded) - len(answered)
        verdict.doubled.append(f"{player.username} has {surplus} draws that nobody asked for")
    for request_id in list(answered)[:: max(1, len(answered) // _ASKED_AGAIN)]:
        body = {"activity_id": opened.market.activity_id, "request_id": request_id}
        again = await edge.call("POST", "/api/lottery/draw", player.token, body)
        if again["draw_id"] != answered[request_id]["draw_id"]:
            verdict.doubled.append(f"{player.username}'s {request_id} drew again: {again}")


async def _recorded(edge: Edge, opened: Opened, player: Player, count: int) -> dict[str, Json]:
    """A player's draws of the activity, once as many are recorded as were answered."""
    activity_id = opened.market.activity_id
    deadline = time.monotonic() + _RECORDED_S
    while True:
        path = "/api/user/lottery-history"
        pages = edge.pages(path, "records", player.token, activity_id=activity_id)
        # What is recorded meanwhile moves rows from one page to the next, which has them again.
        rows = {row["draw_id"]: row async for row in pages}
        if len(rows) >= count or time.monotonic() > deadline:
            return rows
        await asyncio.sleep(0.5)


async def _judge_orders(edge: Edge, crowd: Crowd, player: Player, verdict: Verdict) -> None:
    for order_num, items in crowd.orders[player].items():
        verdict.orders += 1
        query = {"order_num": order_num}
        rows = await edge.call(
            "GET", "/api/blindbox/prize_order_log", player.token, query=query
        ) or await edge.call(
            "GET", "/api/blindbox/infinite_prize_order_log", player.token, query=query
        )
        told, found = [_codes(some) for some in (items, rows)]
        if told != found:
            verdict.lost.append(f"order {order_num}: {told} is {found}")


def _codes(items: Sequence[Json]) -> list[str]:
    return sorted(item["prize_code"] for item in items)


def _won(crowd: Crowd) -> Iterator[tuple[str, str]]:
    """Everything that was answered as won: what, and its code."""
    for draws in crowd.draws.values():
        for drawn in draws.values():
            if drawn["won"]:
                yield f"prize {drawn['prize']['prize_id']}", drawn["prize"]["prize_code"]
    for orders in crowd.orders.values():
        for items in orders.values():
            for item in items:
                yield f"item {item['goods_item_id']}", item["prize_code"]


def _judge_scarce(crowd: Crowd, opened: Opened, verdict: Verdict) -> None:
    won = list(_won(crowd))
    counts = Counter(what for what, _ in won)
    for what, units in opened.scarce.items():
        if counts[what] > units:
            verdict.oversold.append(f"{what} was given {counts[what]} times, there were {units}")
    codes = Counter(code for _, code in won)
    verdict.doubled += [f"{code} was given {n} times" for code, n in codes.items() if n > 1]
    heard = crowd.streamed.items()
    verdict.doubled += [f"{draw} was streamed {n} times" for draw, n in heard if n > 1]


def _log_errors(stack: StackUnderTest, alarms: Collection[str]) -> list[str]:
    """What the services call an error, but for *alarms*, and what they end with."""
    found = []
    for service in _SERVICES:
        lines = _log(stack, service).splitlines()
        for number, line in enumerate(lines):
            if any(alarm in line for alarm in alarms):
                continue
            if line.startswith(("Traceback", "kuji: ")):
                found.append("\n".join([f"{service}: {line}", *lines[number + 1 : number + 40]]))
            elif '"level": "error"' in line:
                found.append(f"{service}: {line[:6000]}")
    return found


def _missing_alarms(stack: StackUnderTest, alarms: Collection[str]) -> list[str]:
    said = "".join(_log(stack, service) for service in _SERVICES)
    return [f"no log says {alarm}" for alarm in alarms if alarm not in said]


def _log(stack: StackUnderTest, service: str) -> str:
    return (stack.home / "logs" / f"{service}.log").read_text()


async def _books(stack: StackUnderTest, edge: Edge, token: str, opened: Opened) -> list[str]:
    """The books; and the proof of the whole ledger, once the activity has ended."""
    activity_id = opened.market.activity_id
    _, unbalanced = await _kuji(stack, "reconcile")
    await edge.call("PUT", f"/admin/api/activities/{activity_id}", token, {"status": "ended"})
    deadline = time.monotonic() + _REVEALED_S
    while True:
        code, unproved = await _kuji(stack, "verify", str(activity_id))
        if code != _NOT_YET or time.monotonic() > deadline:
            return [*unbalanced, *unproved]


async def _kuji(stack: StackUnderTest, *arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command, and what it found: nothing where it is content."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", *arguments),
        cwd=ROOT,
        env={**os.environ, "KUJI_HOME": str(stack.home), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), _COMMAND_S)
    code = int(process.returncode or 0)
    return code, [f"kuji {' '.join(arguments)}: {said.decode()[-2000:]}"] if code else []

"""The verdict over a stack that went through faults, from outside: its edge and its commands."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from demo.accounts import Player
from demo.edge import Edge, Json
from stack.processes import ROOT
from tests.chaos.crowd import Crowd
from tests.chaos.market import Opened
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
        internal: What nobody may be told, and what the logs call an error.
        hands: What did not become well by itself.
    """

    draws: int = 0
    orders: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    oversold: list[str] = field(default_factory=list)
    internal: list[str] = field(default_factory=list)
    hands: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """All that was found."""
        return [*self.lost, *self.doubled, *self.oversold, *self.internal, *self.hands]


async def judge(stack: StackUnderTest, edge: Edge, crowd: Crowd, opened: Opened) -> Verdict:
    """The verdict; the crowd has stopped, and no fault holds."""
    verdict = Verdict()
    for player in opened.players:
        await _judge_draws(edge, crowd, opened, player, verdict)
        await _judge_orders(edge, crowd, player, verdict)
    _judge_scarce(crowd, opened, verdict)
    verdict.internal += _log_errors(stack)
    verdict.hands += await _books(stack, edge, await crowd.admin_token(), opened)
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
        rows = [row async for row in pages]
        if len(rows) >= count or time.monotonic() > deadline:
            return {row["draw_id"]: row for row in rows}
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


def _log_errors(stack: StackUnderTest) -> list[str]:
    """What the services call an error, and what they end with."""
    return [
        f"{service}: {line[:300]}"
        for service in _SERVICES
        for line in (stack.home / "logs" / f"{service}.log").read_text().splitlines()
        if '"level": "error"' in line or line.startswith(("Traceback", "kuji: "))
    ]


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

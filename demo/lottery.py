"""The lottery: users draw from an activity, all at once, each until its draws are spent."""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import grpc
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

from demo.activities import Prize, open_activity
from demo.client import RPC_TIMEOUT_S, Edge, Player, asked, bearer, open_channel, passes
from demo.system import System

MAX_USERS = 5_000
MAX_DRAWS = 100_000  # within the life of the users' tokens
DEFAULT_PRIZES = "5:0.05,10:0.10,15:0.15,500:0.40"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_GRPC_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Campaign:
    """
    What is played.

    Args:
        users: Who draw, all at once.
        draws: In all, spread evenly over the users; each user's come one after the other.
        prizes: What can be won.
        seed: Decides which draws go over gRPC. (What a draw wins, its pool's secret seed decides.)
    """

    users: int
    draws: int
    prizes: Sequence[Prize]
    seed: int = 1

    def over_grpc(self) -> Iterator[list[bool]]:
        """For each user, for each of its draws: whether it goes over gRPC."""
        chance = random.Random(self.seed)  # noqa: S311  # no secret
        each, more = divmod(self.draws, self.users)
        for user in range(self.users):
            yield [chance.random() < _GRPC_SHARE for _ in range(each + (user < more))]


class Answer(NamedTuple):
    """
    What a draw gave. *prize_id* 0, *prize_code* empty: a miss; *draw_id* empty, too: nothing was
    left to win, and no draw was made.
    """

    draw_id: str
    prize_id: int
    prize_code: str
    replayed: bool


DrawCall = Callable[[Player, str], Awaitable[Answer]]  # the player's draw of that request id


class Draw(NamedTuple):
    """
    A draw that was answered.

    Args:
        user_id: Who drew.
        request_id: The draw's name, the same in every attempt.
        answer: What it gave.
        over_grpc: Which way it came.
        attempts: Until it was answered.
        seconds: From the first attempt to the answer.
    """

    user_id: int
    request_id: str
    answer: Answer
    over_grpc: bool
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Played:
    """
    A campaign that was played to its end.

    Args:
        players: Who drew.
        draws: All that were made and answered.
        unanswered: User and request id of those that never were, with the last failure.
        seconds: How long the draws took.
        sold_out: How often somebody was told that nothing was left to win.
    """

    campaign: Campaign
    activity_id: int
    pool_id: int
    players: Sequence[Player]
    draws: Sequence[Draw]
    unanswered: dict[tuple[int, str], str]
    seconds: float
    sold_out: int = 0


async def play(
    system: System, campaign: Campaign, on_draw: Callable[[Draw], None] = lambda _: None
) -> Played:
    """Open an activity, register users and let them draw; *on_draw* gets each draw's answer."""
    name = f"demo-{secrets.token_hex(3)}"
    token = await system.log_in()
    opened = await open_activity(system.edge, token, campaign.prizes, {"name": name})
    players = await system.register(campaign.users, name)
    started = time.perf_counter()
    told, unanswered = await _draw_all(system, campaign, opened.activity_id, players, on_draw)
    seconds = time.perf_counter() - started
    draws = [one for one in told if one.answer.draw_id]
    sold_out = len(told) - len(draws)
    return Played(
        campaign,
        opened.activity_id,
        opened.pool_id,
        players,
        draws,
        unanswered,
        seconds,
        sold_out,
    )


async def _draw_all(
    system: System,
    campaign: Campaign,
    activity_id: int,
    players: Sequence[Player],
    on_draw: Callable[[Draw], None],
) -> tuple[list[Draw], dict[tuple[int, str], str]]:
    task = system.bars.add_task("drawing", total=campaign.draws, note="draws")
    draws: list[Draw] = []
    unanswered: dict[tuple[int, str], str] = {}
    async with open_channel(system.endpoints.grpc["draw"]) as channel:
        ways = [by_json(system.edge, activity_id), by_grpc(channel, activity_id)]

        async def draw_each(player: Player, over_grpc: Sequence[bool]) -> None:
            for number, is_grpc in enumerate(over_grpc, start=1):
                request_id = f"draw-{number}"
                try:
                    draws.append(await draw(ways[is_grpc], player, request_id, is_grpc))
                except Exception as error:
                    if not passes(error):
                        raise
                    unanswered[player.user_id, request_id] = repr(error)
                    continue
                system.bars.advance(task)
                on_draw(draws[-1])

        async with asyncio.TaskGroup() as group:
            for player, over_grpc in zip(players, campaign.over_grpc(), strict=True):
                group.create_task(draw_each(player, over_grpc))
    return draws, unanswered


async def draw(how: DrawCall, player: Player, request_id: str, over_grpc: bool = False) -> Draw:
    """Draw once, repeating the request id until its outcome is known."""
    answer, attempts, seconds = await asked(lambda: how(player, request_id))
    return Draw(player.user_id, request_id, answer, over_grpc, attempts, seconds)


def by_json(edge: Edge, activity_id: int) -> DrawCall:
    """Through Envoy."""

    async def call(player: Player, request_id: str) -> Answer:
        body = {"activity_id": activity_id, "request_id": request_id}
        data = await edge.call("POST", "/api/lottery/draw", player.token, body)
        prize = data["prize"] or {"prize_id": 0, "prize_code": ""}
        return Answer(
            data["draw_id"], int(prize["prize_id"]), prize["prize_code"], data["replayed"]
        )

    return call


def by_grpc(channel: grpc.aio.Channel, activity_id: int) -> DrawCall:
    """With the committed stubs."""
    stub = draw_pb2_grpc.DrawServiceStub(channel)

    async def call(player: Player, request_id: str) -> Answer:
        request = draw_pb2.DrawRequest(activity_id=activity_id, request_id=request_id)
        metadata = bearer(player.token)
        result = (await stub.Draw(request, metadata=metadata, timeout=RPC_TIMEOUT_S)).result
        prize = result.prize
        return Answer(result.draw_id, prize.prize_id, prize.prize_code, result.replayed)

    return call


def parse_prizes(text: str) -> list[Prize]:
    """
    Prizes from "units:probability,…", for example "5:0.05,500:0.4".

    Raises:
        ValueError: It is something else, or the chances sum to more than 1.
    """
    parts = text.split(",")
    if len(parts) > len(_LETTERS):
        raise ValueError(f"at most {len(_LETTERS)} prizes")
    prizes = [_parse_prize(f"Prize {_LETTERS[at]}", part) for at, part in enumerate(parts)]
    if sum(prize.probability for prize in prizes) > 1 + 1e-9:
        raise ValueError("the probabilities sum to more than 1")
    return prizes


def _parse_prize(name: str, text: str) -> Prize:
    units, _, probability = text.partition(":")
    try:
        prize = Prize(name, int(units), float(probability))
    except ValueError:
        raise ValueError(f"{text!r} is not units:probability, for example 5:0.05") from None
    if prize.units < 0 or not 0 <= prize.probability <= 1:
        raise ValueError(f"{text!r}: units are 0 or more, a probability is 0 to 1")
    return prize

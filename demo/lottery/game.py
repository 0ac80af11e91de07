"""The users' part: they draw all at once, each until its draws are spent."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from demo.accounts import Player
from demo.lottery.doors import Ack, Door, Doors
from demo.patience import passes


@dataclass(slots=True)
class Game:
    """
    What the players were told.

    Args:
        acks: Each acknowledged draw.
        unanswered: Request ids whose outcome never became known, with the last failure.
    """

    acks: list[Ack] = field(default_factory=list)
    unanswered: dict[tuple[int, str], str] = field(default_factory=dict)


async def play(
    doors: Doors,
    players: Sequence[Player],
    draws: Sequence[Sequence[bool]],
    on_draw: Callable[[Ack], None],
) -> Game:
    """
    Let all *players* draw at once.

    Args:
        doors: The ways to the draw.
        players: Who draw.
        draws: For each player, for each of its draws: whether it goes over gRPC.
        on_draw: Called with each acknowledged draw.
    """
    game = Game()

    async def play_one(player: Player, over_grpc: Sequence[bool]) -> None:
        for number, is_grpc in enumerate(over_grpc, start=1):
            door = doors.grpc if is_grpc else doors.json
            ack = await _draw(game, door, player, f"draw-{number}")
            if ack is not None:
                game.acks.append(ack)
                on_draw(ack)

    async with asyncio.TaskGroup() as group:
        for player, over_grpc in zip(players, draws, strict=True):
            group.create_task(play_one(player, over_grpc))
    return game


async def _draw(game: Game, door: Door, player: Player, request_id: str) -> Ack | None:
    """One draw: every retry carries the same request id."""
    try:
        return await door.draw(player.user_id, player.token, request_id)
    except Exception as error:
        if not passes(error):
            raise
        game.unanswered[player.user_id, request_id] = repr(error)
        return None

"""python -m demo: play a lottery and blind boxes end to end, and check the books."""

import asyncio
import signal
import sys
from functools import partial
from typing import Annotated

import aiohttp
import grpc
import typer

from demo.boxes.performance import play_boxes
from demo.boxes.plan import Plan as BoxesPlan
from demo.host import own_stack
from demo.lottery.performance import play_lottery
from demo.lottery.plan import DEFAULT_PRIZES, MAX_DRAWS, MAX_USERS, PrizePlan, parse_prizes
from demo.lottery.plan import Plan as LotteryPlan
from demo.patience import EdgeError
from ops.errors import OperatorError
from ops.terminal import complain

LOTTERY, BOXES = "lottery", "boxes"
ALL_ACTS = f"{LOTTERY},{BOXES}"


def _prizes(text: str) -> list[PrizePlan]:
    try:
        return parse_prizes(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--prizes") from error


def _acts(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if not names or not set(names) <= {LOTTERY, BOXES}:
        raise typer.BadParameter(f"{text!r} is not of {LOTTERY},{BOXES}", param_hint="--acts")
    return names


def demo(
    users: Annotated[int, typer.Option(min=1, max=MAX_USERS, help="Who draw, all at once.")] = 200,
    draws: Annotated[int, typer.Option(min=1, max=MAX_DRAWS, help="Draws of all of them.")] = 3000,
    prizes: Annotated[
        str, typer.Option(help="units:probability,… of the prizes.")
    ] = DEFAULT_PRIZES,
    seed: Annotated[int, typer.Option(help="Decides what goes over gRPC, and order sizes.")] = 1,
    acts: Annotated[str, typer.Option(help="What is played, in this order.")] = ALL_ACTS,
) -> None:
    """
    Play on a stack of its own, through Envoy and over gRPC; what runs here already is left alone.
    First a lottery: users register and draw at once. Then blind boxes: buyers empty a box at once,
    order from infinite goods, use item cards. What they were told is compared with Redis and
    Postgres, asked for again after a crash, and replayed from the seed.

    Exit code 0: everything adds up; 1: it does not; 2: the demo could not be played.
    """
    plays = {
        LOTTERY: partial(play_lottery, LotteryPlan(users, draws, _prizes(prizes), seed)),
        BOXES: partial(play_boxes, BoxesPlan(seed=seed)),
    }
    chosen = [plays[name] for name in _acts(acts)]
    with own_stack() as stack:
        verdicts = [asyncio.run(play(stack)) for play in chosen]
        stack.is_kept = not all(verdicts)
    raise typer.Exit(0 if all(verdicts) else 1)


def main() -> None:
    """Run the command line; stopped or failed, a stack of its own is stopped too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        typer.run(demo)
    except* (OperatorError, EdgeError, aiohttp.ClientError, grpc.aio.AioRpcError) as group:
        complain(str(_first(group)))
        sys.exit(2)


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    main()

"""python -m demo: play a lottery and blind boxes end to end, and check the books."""

import asyncio
import signal
import sys
from functools import partial
from typing import Annotated

import aiohttp
import grpc
import typer

from demo import blindbox_checks, lottery_checks
from demo.activities import Prize
from demo.blindbox import Sale, sell
from demo.client import EdgeError
from demo.goods import ICHIBAN
from demo.lottery import (
    DEFAULT_PRIZES,
    MAX_DRAWS,
    MAX_USERS,
    Campaign,
    parse_prizes,
    play,
)
from demo.own_stack import OwnStack, own_stack
from demo.report import print_verdict
from demo.system import open_system
from ops.errors import OperatorError
from ops.terminal import complain, counted, out, progress

LOTTERY, BOXES = "lottery", "boxes"
BOTH = f"{LOTTERY},{BOXES}"


def _prizes(text: str) -> list[Prize]:
    try:
        return parse_prizes(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--prizes") from error


def _parts(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    if not names or not set(names) <= {LOTTERY, BOXES}:
        raise typer.BadParameter(f"{text!r} is not of {BOTH}", param_hint="--parts")
    return names


async def _lottery(campaign: Campaign, stack: OwnStack) -> bool:
    """Whether everything added up."""
    out.print(
        f"{counted(campaign.users, 'user')}, {counted(campaign.draws, 'draw')}, "
        f"{counted(len(campaign.prizes), 'prize')} at {stack.endpoints.edge} (seed {campaign.seed})"
    )
    with progress() as bars:
        async with open_system(stack.endpoints, campaign.users, bars) as system:
            played = await play(system, campaign)
            evidence, checks = await lottery_checks.judge(system, played)
            kill = partial(stack.kill, "draw")
            checks += await lottery_checks.checks_after_a_crash(system, played, kill)
    lottery_checks.print_report(out, played, evidence)
    return print_verdict(out, checks)


async def _boxes(sale: Sale, stack: OwnStack) -> bool:
    """Whether everything added up."""
    out.print(
        f"\n{counted(sale.buyers, 'buyer')}, {counted(ICHIBAN.tickets, 'ticket')}, "
        f"{counted(sale.infinite_orders, 'infinite order')}, "
        f"{counted(sale.cards, 'item card')} (seed {sale.seed})"
    )
    with progress() as bars:
        async with open_system(stack.endpoints, sale.buyers, bars) as system:
            sold = await sell(system, sale)
            evidence, checks = await blindbox_checks.judge(system, sold)
    blindbox_checks.print_report(out, sold, evidence)
    return print_verdict(out, checks)


def demo(
    users: Annotated[int, typer.Option(min=1, max=MAX_USERS, help="Who draw, all at once.")] = 200,
    draws: Annotated[int, typer.Option(min=1, max=MAX_DRAWS, help="Draws of all of them.")] = 3000,
    prizes: Annotated[
        str, typer.Option(help="units:probability,… of the prizes.")
    ] = DEFAULT_PRIZES,
    seed: Annotated[int, typer.Option(help="Decides what goes over gRPC, and order sizes.")] = 1,
    parts: Annotated[str, typer.Option(help="What is played, in this order.")] = BOTH,
) -> None:
    """
    Play on a stack of its own, through Envoy and over gRPC; what runs here already is left alone.
    First a lottery: users register and draw at once. Then blind boxes: buyers empty a box at once,
    order from infinite goods, use item cards. What they were told is compared with Redis and
    Postgres, asked for again after a crash, and replayed from the seed.

    Exit code 0: everything adds up; 1: it does not; 2: the demo could not be played.
    """
    plays = {
        LOTTERY: partial(_lottery, Campaign(users, draws, _prizes(prizes), seed)),
        BOXES: partial(_boxes, Sale(seed=seed)),
    }
    chosen = [plays[name] for name in _parts(parts)]
    with own_stack() as stack:
        verdicts = [asyncio.run(play_part(stack)) for play_part in chosen]
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

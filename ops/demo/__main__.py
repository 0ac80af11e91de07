"""python -m ops.demo: play a campaign end to end, and check the books."""

import asyncio
import signal
import sys
from typing import Annotated

import aiohttp
import grpc
import typer

from ops.connections import Endpoints, OpsSettings
from ops.demo.host import running_stack
from ops.demo.patience import EdgeError
from ops.demo.plan import DEFAULT_PRIZES, MAX_DRAWS, MAX_USERS, Plan, PrizePlan, parse_prizes
from ops.demo.report import print_report, print_verdict
from ops.demo.session import open_demo
from ops.errors import OperatorError
from ops.terminal import complain, counted, out, progress


def _prizes(text: str) -> list[PrizePlan]:
    try:
        return parse_prizes(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--prizes") from error


def demo(
    users: Annotated[int, typer.Option(min=1, max=MAX_USERS, help="Who draw, all at once.")] = 200,
    draws: Annotated[int, typer.Option(min=1, max=MAX_DRAWS, help="Draws of all of them.")] = 3000,
    prizes: Annotated[
        str, typer.Option(help="units:probability,… of the prizes.")
    ] = DEFAULT_PRIZES,
    seed: Annotated[int, typer.Option(help="Decides which draws go over gRPC.")] = 1,
) -> None:
    """
    Play a small campaign on the running stack, or on one started for it: users register and draw
    at once, through Envoy and over gRPC. Then compare what they were told with Redis and Postgres.

    Exit code 0: everything adds up; 1: it does not; 2: the demo could not be played.
    """
    plan = Plan(users, draws, _prizes(prizes), seed)
    with running_stack(OpsSettings().home) as endpoints:
        is_good = asyncio.run(_run(plan, endpoints))
    raise typer.Exit(0 if is_good else 1)


async def _run(plan: Plan, endpoints: Endpoints) -> bool:
    out.print(
        f"{counted(plan.users, 'user')}, {counted(plan.draws, 'draw')}, "
        f"{counted(len(plan.prizes), 'prize')} at {endpoints.edge} (seed {plan.seed})"
    )
    with progress() as bars:
        async with open_demo(plan, endpoints, bars) as game:
            played = await game.play()
            seen, checks = await game.judge(played)
    print_report(out, plan, played, seen)
    return print_verdict(out, checks)


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

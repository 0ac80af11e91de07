"""The act as the command performs it: announced, played, judged, reported."""

from functools import partial

from demo.host import OwnStack
from demo.lottery.act import Lottery
from demo.lottery.afterwards import checks_afterwards
from demo.lottery.plan import Plan
from demo.lottery.report import print_report
from demo.report import print_verdict
from demo.stage import open_stage
from ops.terminal import counted, out, progress


async def play_lottery(plan: Plan, stack: OwnStack) -> bool:
    """Whether everything added up."""
    endpoints = stack.endpoints
    out.print(
        f"{counted(plan.users, 'user')}, {counted(plan.draws, 'draw')}, "
        f"{counted(len(plan.prizes), 'prize')} at {endpoints.edge} (seed {plan.seed})"
    )
    with progress() as bars:
        async with open_stage(endpoints, plan.users, bars) as stage:
            act = Lottery(plan, stage)
            played = await act.play()
            seen, checks = await act.judge(played)
            checks += await checks_afterwards(stage, played, partial(stack.kill, "draw"))
    print_report(out, plan, played, seen)
    return print_verdict(out, checks)

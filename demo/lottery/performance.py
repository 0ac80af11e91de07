"""The act as the command performs it: announced, played, judged, reported."""

from demo.lottery.act import Lottery
from demo.lottery.plan import Plan
from demo.lottery.report import print_report
from demo.report import print_verdict
from demo.stage import open_stage
from ops.connections import Endpoints
from ops.terminal import counted, out, progress


async def play_lottery(plan: Plan, endpoints: Endpoints) -> bool:
    """Whether everything added up."""
    out.print(
        f"{counted(plan.users, 'user')}, {counted(plan.draws, 'draw')}, "
        f"{counted(len(plan.prizes), 'prize')} at {endpoints.edge} (seed {plan.seed})"
    )
    with progress() as bars:
        async with open_stage(endpoints, plan.users, bars) as stage:
            act = Lottery(plan, stage)
            played = await act.play()
            seen, checks = await act.judge(played)
    print_report(out, plan, played, seen)
    return print_verdict(out, checks)

"""The act as the command performs it: announced, played, judged, reported."""

from demo.boxes.act import Boxes
from demo.boxes.plan import ICHIBAN, Plan
from demo.boxes.report import print_report
from demo.host import OwnStack
from demo.report import print_verdict
from demo.stage import open_stage
from ops.terminal import counted, out, progress


async def play_boxes(plan: Plan, stack: OwnStack) -> bool:
    """Whether everything added up."""
    out.print(
        f"\n{counted(plan.buyers, 'buyer')}, {counted(ICHIBAN.tickets, 'ticket')}, "
        f"{counted(plan.infinite_orders, 'infinite order')}, "
        f"{counted(plan.cards, 'item card')} (seed {plan.seed})"
    )
    with progress() as bars:
        async with open_stage(stack.endpoints, plan.buyers, bars) as stage:
            act = Boxes(plan, stage)
            played = await act.play()
            seen, checks = await act.judge(played)
    print_report(out, played, seen)
    return print_verdict(out, checks)

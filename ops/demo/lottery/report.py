"""What the demo prints at its end."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ops.demo.evidence import Evidence
from ops.demo.plan import Plan
from ops.demo.players import Game
from ops.demo.session import Played
from ops.demo.verdict import Check

_NEWEST = 5
_PROBLEMS = 10


def print_report(console: Console, plan: Plan, played: Played, seen: Evidence) -> None:
    """The prizes, the speed, the newest winners."""
    sections = {
        "Prizes": _prizes(plan, seen),
        "Draws": _speed(played.game, played.seconds),
        "Newest winners": _newest_winners(seen),
    }
    for title, table in sections.items():
        console.print(f"\n[bold]{title}[/]")
        console.print(table)


def _prizes(plan: Plan, seen: Evidence) -> Table:
    table = _table("prize", "chance", "units", "won", "left")
    for column in table.columns[1:]:
        column.justify = "right"
    stocks = seen.facts.live.stocks if seen.facts.live else []
    left = {stock.prize_id: stock.left for stock in stocks}
    for prize, planned in zip(seen.facts.prizes, plan.prizes, strict=True):
        in_redis = str(left.get(prize.prize_id, "?"))
        chance = f"{planned.probability:.2%}"
        table.add_row(prize.name, chance, str(prize.units), str(prize.won), in_redis)
    return table


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))


def _speed(game: Game, seconds: float) -> Table:
    facts = Table.grid(padding=(0, 2))
    over_grpc = sum(ack.over_grpc for ack in game.acks)
    wins = sum(bool(ack.outcome.prize_id) for ack in game.acks)
    draws = len(game.acks)
    facts.add_row("total", f"{draws}, {wins} won; {over_grpc} over gRPC, the rest through Envoy")
    facts.add_row("rate", f"{draws / seconds:.0f} draws/s in {seconds:.1f} s")
    if draws > 1:
        facts.add_row("latency", _latency([ack.seconds for ack in game.acks]))
    retried = sum(ack.attempts > 1 for ack in game.acks)
    replayed = sum(ack.outcome.replayed for ack in game.acks)
    if retried:
        facts.add_row("retries", f"{retried} draws asked again; {replayed} of them had been drawn")
    return facts


def _latency(seconds: Sequence[float]) -> str:
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"p50 {percentiles[49] * 1000:.1f} ms, p99 {percentiles[98] * 1000:.1f} ms"


def _newest_winners(seen: Evidence) -> Table:
    table = _table("draw", "who", "prize", "when")
    for winner in seen.winners[:_NEWEST]:
        table.add_row(
            winner["draw_id"], winner["user_name"], winner["prize_name"], winner["won_at"]
        )
    return table


def print_verdict(console: Console, checks: Sequence[Check]) -> bool:
    """Each check with what breaks it, then the verdict; whether it is good."""
    console.print("\n[bold]Verdict[/]")
    for check in checks:
        console.print(
            f"[red]✗[/] {check.promise}" if check.problems else f"[green]✓[/] {check.promise}"
        )
        for problem in check.problems[:_PROBLEMS]:
            console.print(f"    {problem}", markup=False, soft_wrap=True)
        if len(check.problems) > _PROBLEMS:
            console.print(f"    … and {len(check.problems) - _PROBLEMS} more")
    is_good = not any(check.problems for check in checks)
    console.print("[bold green]The books balance.[/]" if is_good else "[bold red]FAILED[/]")
    return is_good

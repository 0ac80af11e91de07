"""What the act prints at its end."""

from rich.console import Console
from rich.table import Table

from demo.lottery.act import Played
from demo.lottery.evidence import Evidence
from demo.lottery.game import Game
from demo.lottery.plan import Plan
from demo.report import facts_table, latency, print_sections, table

_NEWEST = 5


def print_report(console: Console, plan: Plan, played: Played, seen: Evidence) -> None:
    """The prizes, the speed, the newest winners."""
    sections = {
        "Prizes": _prizes(plan, seen),
        "Draws": _speed(played.game, played.seconds),
        "Newest winners": _newest_winners(seen),
    }
    print_sections(console, sections)


def _prizes(plan: Plan, seen: Evidence) -> Table:
    prizes = table("prize", "chance", "units", "won", "left")
    for column in prizes.columns[1:]:
        column.justify = "right"
    stocks = seen.facts.live.stocks if seen.facts.live else []
    left = {stock.prize_id: stock.left for stock in stocks}
    for prize, planned in zip(seen.facts.prizes, plan.prizes, strict=True):
        in_redis = str(left.get(prize.prize_id, "?"))
        chance = f"{planned.probability:.2%}"
        prizes.add_row(prize.name, chance, str(prize.units), str(prize.won), in_redis)
    return prizes


def _speed(game: Game, seconds: float) -> Table:
    over_grpc = sum(ack.over_grpc for ack in game.acks)
    wins = sum(bool(ack.outcome.prize_id) for ack in game.acks)
    draws = len(game.acks)
    facts = {
        "total": f"{draws}, {wins} won; {over_grpc} over gRPC, the rest through Envoy",
        "rate": f"{draws / seconds:.0f} draws/s in {seconds:.1f} s",
    }
    if draws > 1:
        facts["latency"] = latency([ack.seconds for ack in game.acks])
    retried = sum(ack.attempts > 1 for ack in game.acks)
    replayed = sum(ack.outcome.replayed for ack in game.acks)
    if retried:
        facts["retries"] = f"{retried} draws asked again; {replayed} of them had been drawn"
    return facts_table(facts)


def _newest_winners(seen: Evidence) -> Table:
    winners = table("draw", "who", "prize", "when")
    for winner in seen.winners[:_NEWEST]:
        winners.add_row(
            winner["draw_id"], winner["user_name"], winner["prize_name"], winner["won_at"]
        )
    return winners

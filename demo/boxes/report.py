"""What the act prints at its end."""

from rich.console import Console
from rich.table import Table

from demo.boxes.act import Played
from demo.boxes.evidence import Counter, Evidence
from demo.boxes.verdict import last_prize
from demo.report import facts_table, latency, print_sections, table
from services.common.masking import mask
from services.pool.rule.terms import UNLIMITED


def print_report(console: Console, played: Played, seen: Evidence) -> None:
    """The items of each goods, who has the last prize, the speed."""
    print_sections(
        console,
        {
            **{_title(counter): _items(counter) for counter in seen.counters},
            "Last prize": facts_table(_last_prizes(played)),
            "Orders": facts_table(_orders(played)),
        },
    )


def _title(counter: Counter) -> str:
    plan = counter.goods.plan
    return f"{plan.title}: {plan.type}, box 1"


def _items(counter: Counter) -> Table:
    items = table("level", "item", "units", "won", "left")
    for column in items.columns[2:]:
        column.justify = "right"
    live = counter.books.facts.live
    left = {stock.prize_id: stock.left for stock in live.stocks} if live else {}
    for prize, planned in zip(counter.books.facts.prizes, counter.goods.plan.items, strict=True):
        in_redis = _units(left[prize.prize_id]) if prize.prize_id in left else "?"
        items.add_row(planned.level, prize.name, _units(prize.units), str(prize.won), in_redis)
    return items


def _units(units: int) -> str:
    return "∞" if units == UNLIMITED else str(units)


def _last_prizes(played: Played) -> dict[str, str]:
    names = {player.user_id: mask(player.username) for player in played.players}
    found = [(ack, last_prize(ack)) for ack in played.game.acks]
    return {
        names[ack.wanted.user_id]: f"{last[0].title}, with draw {last[1]}"
        for ack, last in found
        if last is not None
    }


def _orders(played: Played) -> dict[str, str]:
    acks, seconds = played.game.acks, played.seconds
    refused = sum(bool(ack.refusal) for ack in acks)
    over_grpc = sum(ack.over_grpc for ack in acks)
    items = sum(len(ack.items) for ack in acks)
    facts = {
        "total": f"{len(acks)}, {refused} refused; {over_grpc} over gRPC, the rest through Envoy",
        "items": f"{items}, {len(played.cards)} of them for item cards",
        "rate": f"{len(acks) / seconds:.0f} orders/s in {seconds:.1f} s",
        "latency": latency([ack.seconds for ack in acks]),
    }
    if retried := sum(ack.attempts > 1 for ack in acks):
        facts["retries"] = f"{retried} orders asked again"
    return facts

"""The verdict: what the players were told against what every side says afterwards. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from demo.accounts import Player
from demo.checks import Check
from demo.edge import Json
from demo.lottery.doors import Ack
from demo.lottery.evidence import Evidence, Listed, Record, listed
from demo.lottery.game import Game
from services.common.masking import mask


def judge(game: Game, players: Sequence[Player], evidence: Evidence) -> list[Check]:
    """Every check; the verdict is good when none has problems."""
    names = {player.user_id: mask(player.username) for player in players}
    draws = len(game.acks)
    return [
        Check(
            "units = left + won for each prize, in Redis and Postgres; no ledger gap",
            [str(finding) for finding in evidence.findings],
        ),
        Check("every draw was answered", list(_unanswered(game))),
        Check(
            f"all {draws} acknowledged draws are in Postgres once, with the same outcome",
            list(_records(game.acks, evidence.records)),
        ),
        Check("every win is on the global list once", list(_winners(game.acks, names, evidence))),
        Check("every user's history shows its own draws", list(_histories(game.acks, evidence))),
        Check("the statistics add up", list(_statistics(game.acks, evidence.statistics))),
    ]


def _unanswered(game: Game) -> Iterator[str]:
    for (user_id, request_id), failure in game.unanswered.items():
        yield f"user {user_id}, {request_id}: {failure}"


def _records(acks: Sequence[Ack], records: Sequence[Record]) -> Iterator[str]:
    by_request: dict[tuple[int, str], list[Record]] = {}
    for record in records:
        by_request.setdefault((record.user_id, record.request_id), []).append(record)
    for ack in acks:
        found = by_request.pop((ack.user_id, ack.request_id), [])
        yield from _record(ack, found)
    for (user_id, request_id), found in by_request.items():
        ids = ", ".join(record.draw_id for record in found)
        yield f"{ids} of user {user_id}, {request_id}, was never acknowledged"


def _record(ack: Ack, found: Sequence[Record]) -> Iterator[str]:
    draw_id, prize_id, prize_code, _ = ack.outcome
    expected = Record(ack.user_id, ack.request_id, draw_id, prize_id, prize_code)
    if len(found) != 1:
        yield f"{draw_id} of user {ack.user_id} is in Postgres {len(found)} times"
    elif found[0] != expected:
        yield f"{draw_id}: acknowledged {expected}, recorded {found[0]}"


def _winners(acks: Sequence[Ack], names: Mapping[int, str], evidence: Evidence) -> Iterator[str]:
    expected = Counter((_outcome(ack), names[ack.user_id]) for ack in acks if ack.outcome.prize_id)
    found = Counter((listed(row), row["user_name"]) for row in evidence.winners)
    for (win, name), count in (expected - found).items():
        yield f"{win.draw_id} ({name}, prize {win.prize_id}) is {count} times too few on the list"
    for (win, name), count in (found - expected).items():
        yield f"{win.draw_id} ({name}, prize {win.prize_id}) is {count} times too often on the list"


def _histories(acks: Sequence[Ack], evidence: Evidence) -> Iterator[str]:
    expected: dict[int, Counter[Listed]] = {user_id: Counter() for user_id in evidence.histories}
    for ack in acks:
        expected[ack.user_id][_outcome(ack)] += 1
    for user_id, rows in evidence.histories.items():
        if (found := Counter(rows)) != expected[user_id]:
            missing, strange = expected[user_id] - found, found - expected[user_id]
            yield f"user {user_id}: missing {_ids(missing)}; not acknowledged {_ids(strange)}"


def _outcome(ack: Ack) -> Listed:
    return Listed(ack.outcome.draw_id, ack.outcome.prize_id)


def _ids(rows: Counter[Listed]) -> str:
    return ", ".join(row.draw_id for row in rows) or "none"


def _statistics(acks: Sequence[Ack], statistics: Json) -> Iterator[str]:
    won = Counter(ack.outcome.prize_id for ack in acks if ack.outcome.prize_id)
    activity = statistics["activities"][0]
    expected = {
        "draws": len(acks),
        "wins": won.total(),
        "unique_users": len({ack.user_id for ack in acks}),
        "books_balance": True,
    }
    for name, value in expected.items():
        if activity[name] != value:
            yield f"{name} is {activity[name]}, acknowledged were {value}"
    for prize in activity["prizes"]:
        units = won[int(prize["prize_id"])]
        if (prize["won"], prize["remaining"]) != (units, prize["total"] - units):
            yield f"{prize['name']}: won {prize['won']}, acknowledged {units} of {prize['total']}"

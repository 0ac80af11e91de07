"""The lottery's verdict: what users were told, against Redis, Postgres, the lists and the seed."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rich.console import Console

from demo.client import Json, Player, for_each
from demo.lottery import Draw, Played, by_json, draw
from demo.report import Check, differences, facts_table, latency, print_sections, table
from demo.system import Books, System, queries
from ops.ledger.checker import Checker
from ops.ledger.file import Header
from ops.ledger.reader import read_header, read_ledger
from services.common.masking import mask
from services.common.postgres import Connection
from services.pool.rule.replay import DiscrepancyError

_LIST_MAX_AGE_S = 1.0
_SAMPLE = 50
_REVEAL_S = 30.0
_POLL_S = 0.1
_NEWEST = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    The draws of one activity, from every side.

    Args:
        books: Of its pool.
        records: Postgres's rows, each like an expected one of _records().
        winners: The global list, newest first, as the JSON face gives it.
        histories: User id → its draws, as the JSON face gives them.
        statistics: The activity's, as the JSON face gives them.
    """

    books: Books
    records: Sequence[tuple[object, ...]]
    winners: Sequence[Json]
    histories: dict[int, list[Json]]
    statistics: Json


async def judge(system: System, played: Played) -> tuple[Evidence, list[Check]]:
    """Every check of what is there after the last draw."""
    await system.wait_until_recorded(played.pool_id)
    task = system.bars.add_task("checking", total=1, note="")
    evidence = await _collect(system, played)
    system.bars.advance(task)
    return evidence, checks(played, evidence)


async def _collect(system: System, played: Played) -> Evidence:
    edge, activity_id = system.edge, played.activity_id
    records = queries.list_records(system.stores.postgres, pool_id=played.pool_id)
    await asyncio.sleep(_LIST_MAX_AGE_S)
    # Logged in afresh: a long demo outlives a token.
    statistics = await edge.get(
        "/admin/api/statistics", await system.log_in(), activity_id=activity_id
    )
    winners = edge.pages("/api/lottery/global-history", "winners", activity_id=activity_id)

    async def history(player: Player) -> list[Json]:
        path = "/api/user/lottery-history"
        rows = edge.pages(path, "records", player.token, activity_id=activity_id)
        return [row async for row in rows]

    histories = await for_each(played.players, history)
    return Evidence(
        await system.books(played.pool_id),
        [tuple(row) async for row in records],
        [row async for row in winners],
        {player.user_id: rows for player, rows in zip(played.players, histories, strict=True)},
        statistics["activities"][0],
    )


def checks(played: Played, evidence: Evidence) -> list[Check]:
    """Every check; the verdict is good when none has problems. Pure."""
    draws = played.draws
    return [
        Check(
            "units = left + won for each prize, in Redis and Postgres; no ledger gap",
            [str(finding) for finding in evidence.books.findings],
        ),
        Check(
            "every draw was answered",
            [f"user {who}, {what}: {why}" for (who, what), why in played.unanswered.items()],
        ),
        Check(
            f"all {len(draws)} acknowledged draws are in Postgres once, with the same outcome",
            list(differences("Postgres", _records(draws), evidence.records)),
        ),
        Check("every win is on the global list once", list(_winners(played, evidence))),
        Check("every user's history shows its own draws", list(_histories(draws, evidence))),
        Check("the statistics add up", list(_statistics(draws, evidence.statistics))),
        *_sold_out(played, evidence),
    ]


def _sold_out(played: Played, evidence: Evidence) -> Iterator[Check]:
    if not played.sold_out:
        return
    # Units only ever go down in a campaign: what is left at its end was left at all times.
    left = evidence.books.left()
    chances = zip(evidence.books.facts.prizes, played.campaign.prizes, strict=True)
    could_win = [prize for prize, planned in chances if planned.probability]
    yield Check(
        f"{played.sold_out} times somebody was told that nothing was left to win, and so it was",
        [f"{one.name}: {left[one.prize_id]} left" for one in could_win if left.get(one.prize_id)],
    )


def _records(draws: Sequence[Draw]) -> Iterator[tuple[object, ...]]:
    for one in draws:
        draw_id, prize_id, prize_code, _ = one.answer
        yield one.user_id, one.request_id, draw_id, prize_id, prize_code


def _winners(played: Played, evidence: Evidence) -> Iterator[str]:
    names = {player.user_id: mask(player.username) for player in played.players}
    wins = [one for one in played.draws if one.answer.prize_id]
    told = [(one.answer.draw_id, one.answer.prize_id, names[one.user_id]) for one in wins]
    shown = [(row["draw_id"], int(row["prize_id"]), row["user_name"]) for row in evidence.winners]
    return differences("the global list", told, shown)


def _histories(draws: Sequence[Draw], evidence: Evidence) -> Iterator[str]:
    told = [(one.user_id, one.answer.draw_id, one.answer.prize_id) for one in draws]
    shown = [
        (user_id, row["draw_id"], int(row["prize_id"]))
        for user_id, rows in evidence.histories.items()
        for row in rows
    ]
    return differences("histories", told, shown)


def _statistics(draws: Sequence[Draw], statistics: Json) -> Iterator[str]:
    won = Counter(one.answer.prize_id for one in draws if one.answer.prize_id)
    told = {
        "draws": len(draws),
        "wins": won.total(),
        "unique_users": len({one.user_id for one in draws}),
        "books_balance": True,
    }
    yield from differences("statistics", told.items(), {n: statistics[n] for n in told}.items())
    for prize in statistics["prizes"]:
        units = won[int(prize["prize_id"])]
        expected = [("won", units), ("remaining", prize["total"] - units)]
        shown = [(name, prize[name]) for name, _ in expected]
        yield from differences(f"statistics of {prize['name']}", expected, shown)


async def checks_after_a_crash(
    system: System, played: Played, kill_draw_service: Callable[[], None]
) -> list[Check]:
    """Kill what draws and ask again; end the activity, and replay all of it from the seed."""
    task = system.bars.add_task("asking again", total=2, note="after a kill")
    sample = played.draws[:: max(1, len(played.draws) // _SAMPLE)]
    kill_draw_service()
    again = await _ask_again(system, played, sample)
    first = [one.answer._replace(replayed=True) for one in sample]
    system.bars.advance(task)
    path = f"/admin/api/activities/{played.activity_id}"
    await system.edge.call("PUT", path, await system.log_in(), {"status": "ended"})
    replay = await _replayed(system, played.pool_id)
    proofs = [problem async for problem in _unproven(system, sample)]
    system.bars.advance(task)
    return [
        Check(
            f"{len(sample)} draws, asked for again after kill -9, are the same ones",
            list(differences("asked again", first, again)),
        ),
        Check("the revealed seed gives every draw again, in order", replay),
        Check("anyone who asks for a draw's proof is told that it is valid", proofs),
    ]


async def _ask_again(
    system: System, played: Played, sample: Sequence[Draw]
) -> list[tuple[object, ...]]:
    players = {player.user_id: player for player in played.players}
    way = by_json(system.edge, played.activity_id)
    drawn = await for_each(sample, lambda one: draw(way, players[one.user_id], one.request_id))
    return [one.answer for one in drawn]


async def _replayed(system: System, pool_id: int) -> list[str]:
    try:
        async with system.stores.postgres.acquire() as connection:
            header = await _revealed(connection, pool_id)
            if header.seed is None:
                return [f"pool {pool_id}: its seed was not revealed within {_REVEAL_S:.0f} s"]
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                header = await read_header(connection, pool_id)
                checker = Checker(header, bytes.fromhex(header.seed or ""), lambda _: None)
                async for record in read_ledger(connection, pool_id):
                    checker.feed(record)
                checker.finish()
    except DiscrepancyError as error:
        return [str(error)]
    return []


async def _revealed(connection: Connection, pool_id: int) -> Header:
    """The pool's header once it has the seed, or had its time for it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_REVEAL_S):
            while (await read_header(connection, pool_id)).seed is None:  # noqa: ASYNC110  # nothing tells us
                await asyncio.sleep(_POLL_S)
    return await read_header(connection, pool_id)


async def _unproven(system: System, sample: Sequence[Draw]) -> AsyncIterator[str]:
    for one in sample:
        draw_id = one.answer.draw_id
        proof = await system.edge.get(f"/api/lottery/result/{draw_id}/verification")
        if not (proof["valid"] and proof["seed"]):
            yield f"{draw_id}: {proof['explanation']}"


def print_report(console: Console, played: Played, evidence: Evidence) -> None:
    """The prizes, the speed, the newest winners."""
    numbers = ("chance", "units", "won", "left")
    prizes = table("prize", *numbers, numbers=numbers)
    left = evidence.books.left()
    for prize, planned in zip(evidence.books.facts.prizes, played.campaign.prizes, strict=True):
        counts = prize.units, prize.won, left.get(prize.prize_id, "?")
        prizes.add_row(prize.name, f"{planned.probability:.2%}", *map(str, counts))
    winners = table("draw", "who", "prize", "when")
    for row in evidence.winners[:_NEWEST]:
        winners.add_row(row["draw_id"], row["user_name"], row["prize_name"], row["won_at"])
    sections = {"Prizes": prizes, "Draws": facts_table(_speed(played)), "Newest winners": winners}
    print_sections(console, sections)


def _speed(played: Played) -> dict[str, str]:
    draws, seconds = played.draws, played.seconds
    wins = sum(bool(one.answer.prize_id) for one in draws)
    over_grpc = sum(one.over_grpc for one in draws)
    facts = {
        "total": f"{len(draws)}, {wins} won; {over_grpc} over gRPC, the rest through Envoy",
        "rate": f"{len(draws) / seconds:.0f} draws/s in {seconds:.1f} s",
        "latency": latency([one.seconds for one in draws]),
    }
    if played.sold_out:
        facts["sold out"] = f"{played.sold_out} more were told that nothing was left"
    if retried := sum(one.attempts > 1 for one in draws):
        replayed = sum(one.answer.replayed for one in draws)
        facts["retries"] = f"{retried} draws asked again; {replayed} of them had been drawn"
    return facts

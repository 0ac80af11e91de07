"""The oversell storm: many client processes on one prize, and the verdict over what they got."""

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from ops.ledger.checker import Checker
from ops.ledger.reader import read_header, read_ledger
from services.common.timestamps import ms_of
from stack.processes import Child, Program, stop
from tests.chaos.client import Answer, Order, read_answers

IS_FULL = "KUJI_STORM_DRAWS" in os.environ  # as in `make chaos`
CLIENTS = 8 if IS_FULL else 4
_STOP_S = 10


async def run_clients(order: Order, folder: Path) -> list[Answer]:
    """
    Split *order* over CLIENTS processes; all their answers, once every one has ended.

    Raises:
        AssertionError: A client failed; the message is the end of its log.
    """
    share = order.draws // CLIENTS
    orders = [
        Order(
            order.addresses,
            order.token,
            order.activity_id,
            order.first_user + number * share,
            share,
            order.sends,
            str(folder / f"answers-{number}"),
        )
        for number in range(CLIENTS)
    ]
    children: list[Child] = []
    try:
        for number, one in enumerate(orders):
            command = [sys.executable, "-m", "tests.chaos.client", one.to_json()]
            children.append(Child(Program("client", command, folder / f"client-{number}.log")))
        codes = await asyncio.gather(*(child.wait() for child in children))
    finally:
        stop(children, _STOP_S)
    for code, child in zip(codes, children, strict=True):
        assert code == 0, f"a client ended with code {code}{child.log_end()}"
    return [answer for one in orders for answer in read_answers(Path(one.answers))]


def one_result_each(answers: Sequence[Answer], sends: int) -> dict[int, Answer]:
    """
    The result of each draw by seq, after every request was answered *sends* times.

    Raises:
        AssertionError: A request was answered in two ways, or not as often as it was sent.
    """
    of_request: dict[tuple[int, str], list[Answer]] = defaultdict(list)
    for answer in answers:
        of_request[answer.user_id, answer.request_id].append(answer)
    results: dict[int, Answer] = {}
    for request, same in of_request.items():
        assert sends == len(same), request
        assert 1 == len({answer._replace(replayed=True) for answer in same}), same
        assert sum(not answer.replayed for answer in same) <= 1, same
        seq = int(same[0].draw_id.partition("-")[2])
        assert seq not in results, (results[seq], same[0])
        results[seq] = same[0]._replace(replayed=False)
    return results


@dataclass(frozen=True)
class Counts:
    """What the books say of a pool with one prize."""

    draws: int
    wins: int
    unique_users: int
    units: int
    won: int
    remaining: int


async def recorded(postgres: asyncpg.Pool, pool_id: int) -> dict[int, Answer]:
    """Every draw of a pool as Postgres has it, by seq."""
    rows = await postgres.fetch(
        "SELECT seq, lottery_records.user_id, request_id, lottery_records.prize_id,"
        " lottery_records.prize_name, prize_code, odds_weight, odds_total, version, created_at"
        " FROM lottery_records LEFT JOIN winners USING (pool_id, seq) WHERE pool_id = $1",
        pool_id,
    )
    return {
        row["seq"]: Answer(
            row["user_id"],
            row["request_id"],
            f"{pool_id}-{row['seq']}",
            row["prize_id"] or 0,
            row["prize_name"] or "",
            row["prize_code"] or "",
            row["odds_weight"],
            row["odds_total"],
            row["version"],
            ms_of(row["created_at"]),
            replayed=False,
        )
        for row in rows
    }


async def counts(postgres: asyncpg.Pool, pool_id: int) -> Counts:
    """The counters of a pool with one prize."""
    row = await postgres.fetchrow(
        "SELECT draws, wins, unique_users, total_count, won_count, remaining_count"
        " FROM pools JOIN prizes ON prizes.pool_id = pools.id WHERE pools.id = $1",
        pool_id,
    )
    assert row is not None
    return Counts(*row)


async def replayed(postgres: asyncpg.Pool, pool_id: int) -> int:
    """Replay a pool's recorded ledger from its revealed seed, as `kuji verify` does; its draws."""
    async with (
        postgres.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        header = await read_header(connection, pool_id)
        assert header is not None
        assert header.seed is not None
        checker = Checker(header, bytes.fromhex(header.seed), on_progress=lambda _: None)
        async for record in read_ledger(connection, pool_id):
            checker.feed(record)
    return checker.finish()


def winners_of(results: dict[int, Answer]) -> Counter[str]:
    """How often each prize code was given."""
    return Counter(answer.prize_code for answer in results.values() if answer.prize_id)

"""The demo against whole stacks of its own, through Envoy and over gRPC."""

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from demo import blindbox_checks, lottery_checks
from demo.blindbox import Sale, sell
from demo.lottery import Campaign, parse_prizes, play
from demo.own_stack import OwnStack
from demo.report import Check
from demo.system import System, open_system
from ops.connections import open_database, read_endpoints
from ops.terminal import progress
from stack.processes import ROOT
from tests.support.stacks import StackUnderTest, stack_home

_TIMEOUT_S = 180
_SEQ_OF_SEVERAL = """
SELECT min(seq) FROM order_items WHERE pool_id = $1 GROUP BY order_id HAVING count(*) > 1 LIMIT 1
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[OwnStack]:
    """A stack as the demo has it, whose parts these tests kill."""
    with stack_home() as home, StackUnderTest(home).running():
        yield OwnStack(home, read_endpoints(home))


def _at_answers(actions: dict[int, Callable[[], None]]) -> Callable[[object], None]:
    """Does each action at the answer of so many draws or orders."""
    answers = 0

    def on_answer(_: object) -> None:
        nonlocal answers
        answers += 1
        if answers in actions:
            actions[answers]()

    return on_answer


def _problems(checks: Sequence[Check]) -> list[str]:
    return [problem for check in checks for problem in check.problems]


@asynccontextmanager
async def _without_row(system: System, table: str, pool_id: int, seq: int) -> AsyncIterator[None]:
    """The row of draw *seq* is gone meanwhile."""
    postgres = system.stores.postgres
    row = await postgres.fetchrow(
        f"DELETE FROM {table} WHERE pool_id = $1 AND seq = $2 RETURNING *", pool_id, seq
    )
    try:
        yield
    finally:
        await postgres.copy_records_to_table(
            table, records=[tuple(row.values())], columns=list(row.keys())
        )


async def test_lottery_ends_well_when_draw_service_and_recorder_are_killed(
    stack: OwnStack,
) -> None:
    """
    Nothing acknowledged is lost and nothing is drawn twice, whoever dies in the middle.

    The verdict looks at Postgres itself, row by row; what is restored passes again.
    """
    campaign = Campaign(users=12, draws=200, prizes=parse_prizes("5:0.05,10:0.10,500:0.40"))
    kills = {
        50: lambda: stack.kill("draw"),
        100: lambda: stack.kill("recorder"),
        130: lambda: stack.kill("draw"),
    }
    with progress() as bars:
        async with open_system(stack.endpoints, campaign.users, bars) as system:
            played = await play(system, campaign, _at_answers(kills))
            evidence, checks = await lottery_checks.judge(system, played)
            assert [] == _problems(checks)
            async with _without_row(system, "lottery_records", played.pool_id, 3):
                broken = (await lottery_checks.judge(system, played))[1]
            assert [] == _problems((await lottery_checks.judge(system, played))[1])
    assert (campaign.draws, campaign.draws) == (len(played.draws), len(evidence.records))
    assert {True, False} == {one.over_grpc for one in played.draws}
    assert any(one.attempts > 1 for one in played.draws), "nobody noticed the kills"
    assert broken[0].problems, "the audit did not see it"
    assert broken[2].problems, "the comparison with the answers did not see it"


async def test_boxes_end_well_when_draw_service_and_recorder_are_killed(stack: OwnStack) -> None:
    """
    Every order and card draws once and for good, whoever dies in the middle.

    The verdict looks at what each order has, item by item; what is restored passes again.
    """
    sale = Sale(buyers=12, infinite_orders=80, cards=6)
    kills = {
        10: lambda: stack.kill("draw"),
        50: lambda: stack.kill("recorder"),
        80: lambda: stack.kill("draw"),
        100: lambda: stack.kill("recorder"),
    }
    with progress() as bars:
        async with open_system(stack.endpoints, sale.buyers, bars) as system:
            sold = await sell(system, sale, _at_answers(kills))
            assert [] == _problems((await blindbox_checks.judge(system, sold))[1])
            # Of an order with a single item the log would still find it, in the ledger.
            pool_id = sold.box.pool_id
            seq = await system.stores.postgres.fetchval(_SEQ_OF_SEVERAL, pool_id)
            async with _without_row(system, "order_items", pool_id, seq):
                broken = (await blindbox_checks.judge(system, sold))[1]
            assert [] == _problems((await blindbox_checks.judge(system, sold))[1])
    drawn = [one for one in sold.answered if not one.receipt.refusal]
    assert sale.infinite_orders + sale.cards < len(drawn)
    assert {True, False} == {one.over_grpc for one in drawn}
    assert any(one.attempts > 1 for one in drawn), "nobody noticed the kills"
    books, _, in_postgres, _, _, logs, records, _ = broken
    for check in (books, in_postgres, logs, records):
        assert check.problems, f"it was not seen that not: {check.promise}"


class Ran(NamedTuple):
    """How a command ended."""

    code: int | None
    out: str
    err: str


@pytest.fixture
def folder() -> Iterator[Path]:
    """
    Where the command may leave its own.

    Not below pytest's folders: they are closed to the user that Postgres runs as under root.
    """
    with tempfile.TemporaryDirectory(prefix="kuji-demo-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def _started(folder: Path, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demo", *arguments),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "100", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _demo(folder: Path, *arguments: str, **environment: str) -> Ran:
    process = await _started(folder, *arguments, **environment)
    out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    return Ran(process.returncode, out.decode(), err.decode())


def _left_behind(folder: Path) -> list[Path]:
    return list(folder.glob("kuji-demo-*"))


async def test_command_leaves_nothing_when_all_is_well(folder: Path, stack: OwnStack) -> None:
    """Both parts, on a stack of its own: the one that runs gets no user, and no folder stays."""
    running = {
        "KUJI_HOME": str(stack.folder),
        "KUJI_POSTGRES_DSN": stack.endpoints.postgres,
        "KUJI_REDIS_URL": stack.endpoints.redis,
    }
    before = await _users(stack)
    ran = await _demo(folder, *("--users", "10", "--draws", "60", "--prizes", "4:1.0"), **running)
    assert ran.code == 0, ran.out + ran.err
    assert ran.out.startswith("10 users, 60 draws, 1 prize at http://127.0.0.1:"), ran.out
    assert 2 == ran.out.count("The books balance.")
    assert re.search(r"Prize A +100\.00% +4 +4 +0\s", ran.out)
    assert re.search(r"F +Keyring +40 +40 +0\s", ran.out)
    assert re.search(r"Last prize\nd\*\*\*\d  Figure, black, with draw \d+-81\s", ran.out)
    assert re.search(r"B +Plush +∞ +\d+ +∞\s", ran.out)
    assert "✓ 60 draws, asked for again after kill -9, are the same ones" in ran.out
    assert "✓ the revealed seed gives every draw again, in order" in ran.out
    assert (before, []) == (await _users(stack), _left_behind(folder))


async def _users(stack: OwnStack) -> int:
    async with open_database(stack.endpoints.postgres) as postgres:
        return int(await postgres.fetchval("SELECT count(*) FROM accounts"))


async def test_command_exits_2_when_its_stack_cannot_start(folder: Path) -> None:
    """It says so in one sentence, and where the logs are."""
    ran = await _demo(folder, KUJI_REDIS_SERVER="/nonexistent")
    assert (2, "kuji: The stack did not start") == (ran.code, ran.err.splitlines()[-1])
    (kept,) = _left_behind(folder)
    assert f"stay in {kept}" in ran.out.replace("\n", "")
    shutil.rmtree(kept)


async def test_command_stops_its_stack_when_it_is_terminated(folder: Path) -> None:
    """SIGTERM in the middle of the demo leaves nothing running."""
    process = await _started(folder, "--users", "5", "--draws", "100000")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            assert "5 users, 100000 draws" in (await process.stdout.readline()).decode()
            process.terminate()
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode != 0
    assert [] == _left_behind(folder)

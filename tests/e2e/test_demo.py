"""The demo against a whole stack of its own, through Envoy and over gRPC."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.boxes.act import Boxes
from demo.boxes.plan import Plan as BoxesPlan
from demo.checks import Check
from demo.lottery.act import Lottery
from demo.lottery.plan import Plan, parse_prizes
from demo.stage import Stage, open_stage
from ops.connections import Endpoints, open_database, read_endpoints
from ops.terminal import progress
from stack.home import Home
from stack.ports import free_port
from stack.processes import ROOT

_TIMEOUT_S = 180


class Ran(NamedTuple):
    """How a command ended."""

    code: int | None
    out: str
    err: str


async def _run(module: str, *arguments: str, home: Path, port: int) -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "KUJI_HOME": str(home), "KUJI_EDGE_PORT": str(port), "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    return Ran(process.returncode, out.decode(), err.decode())


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's folders: they are closed to the user that Postgres runs as under root."""
    with tempfile.TemporaryDirectory(prefix="kuji-demo-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="module")
async def home(folder: Path) -> AsyncIterator[Path]:
    """The home of a running stack that this module's tests may hurt."""
    home, port = folder / "home", free_port()
    up = await _run("stack", "up", home=home, port=port)
    try:
        assert up.code == 0, up.out + up.err
        yield home
    finally:
        down = await _run("stack", "down", home=home, port=port)
        assert down.code == 0, down.out + down.err


@pytest.fixture
def endpoints(home: Path) -> Endpoints:
    """Where that stack is."""
    return read_endpoints(home)


def _kill(home: Path, part: str) -> None:
    pids: dict[str, int] = json.loads(Home(home).pids_file.read_text())
    os.kill(pids[part], signal.SIGKILL)


def _at_acks(actions: dict[int, Callable[[], None]]) -> Callable[[object], None]:
    """Does each action at the acknowledgement of so many draws or orders."""
    acks = 0

    def on_ack(_: object) -> None:
        nonlocal acks
        acks += 1
        if acks in actions:
            actions[acks]()

    return on_ack


def _problems(checks: list[Check]) -> list[str]:
    return [problem for check in checks for problem in check.problems]


async def test_demo_ends_well_when_draw_service_and_recorder_are_killed(
    home: Path, endpoints: Endpoints
) -> None:
    """Nothing acknowledged is lost and nothing is drawn twice, whoever dies in the middle."""
    plan = Plan(users=30, draws=900, prizes=parse_prizes("5:0.05,10:0.10,500:0.40"), seed=1)
    kills = {
        200: lambda: _kill(home, "draw"),
        400: lambda: _kill(home, "recorder"),
        600: lambda: _kill(home, "draw"),
    }
    async with open_stage(endpoints, plan.users, progress()) as stage:
        act = Lottery(plan, stage)
        played = await act.play(_at_acks(kills))
        seen, checks = await act.judge(played)
    assert [] == _problems(checks)
    assert (plan.draws, plan.draws) == (len(played.game.acks), len(seen.records))
    assert {True, False} == {ack.over_grpc for ack in played.game.acks}
    assert any(ack.attempts > 1 for ack in played.game.acks), "nobody noticed the kills"


async def test_boxes_end_well_when_draw_service_and_recorder_are_killed(
    home: Path, endpoints: Endpoints
) -> None:
    """Every order and card draws once and for good, whoever dies in the middle."""
    plan = BoxesPlan(buyers=30, infinite_orders=600, cards=12, seed=1)
    kills = {
        10: lambda: _kill(home, "draw"),
        60: lambda: _kill(home, "recorder"),
        300: lambda: _kill(home, "draw"),
        500: lambda: _kill(home, "recorder"),
    }
    async with open_stage(endpoints, plan.buyers, progress()) as stage:
        act = Boxes(plan, stage)
        played = await act.play(_at_acks(kills))
        _, checks = await act.judge(played)
    assert [] == _problems(checks)
    drawn = [ack for ack in played.game.acks if not ack.refusal]
    assert plan.infinite_orders + plan.cards < len(drawn)
    assert {True, False} == {ack.over_grpc for ack in drawn}
    assert any(ack.attempts > 1 for ack in drawn), "nobody noticed the kills"


_SEQ_OF_SEVERAL = """
SELECT min(seq) FROM order_items WHERE pool_id = $1 GROUP BY order_id HAVING count(*) > 1 LIMIT 1
"""


async def test_boxes_fail_their_verdict_when_an_item_is_deleted(endpoints: Endpoints) -> None:
    """The verdict looks at what each order has, item by item; what is restored passes again."""
    plan = BoxesPlan(buyers=8, infinite_orders=10, cards=2, seed=1)
    async with open_stage(endpoints, plan.buyers, progress()) as stage:
        act = Boxes(plan, stage)
        played = await act.play()
        assert [] == _problems((await act.judge(played))[1])
        # Of an order with a single item the log would still find it, in the ledger.
        seq = await stage.stores.postgres.fetchval(_SEQ_OF_SEVERAL, played.box.pool_id)
        async with _without_row(stage, "order_items", played.box.pool_id, seq):
            broken = (await act.judge(played))[1]
        assert [] == _problems((await act.judge(played))[1])
    books, _, in_postgres, _, _, logs, records, _ = broken
    for check in (books, in_postgres, logs, records):
        assert check.problems, f"it was not seen that not: {check.promise}"


async def test_demo_fails_its_verdict_when_a_record_is_deleted(endpoints: Endpoints) -> None:
    """The verdict looks at Postgres itself, row by row; what is restored passes again."""
    plan = Plan(users=5, draws=40, prizes=parse_prizes("10:1.0"), seed=1)
    async with open_stage(endpoints, plan.users, progress()) as stage:
        act = Lottery(plan, stage)
        played = await act.play()
        assert [] == _problems((await act.judge(played))[1])
        async with _without_row(stage, "lottery_records", played.campaign.pool_id, 3):
            broken = (await act.judge(played))[1]
        assert [] == _problems((await act.judge(played))[1])
    assert broken[0].problems, "the audit did not see it"
    assert broken[2].problems, "the comparison with the answers did not see it"


@asynccontextmanager
async def _without_row(stage: Stage, table: str, pool_id: int, seq: int) -> AsyncIterator[None]:
    """The row of draw *seq* is gone meanwhile."""
    postgres = stage.stores.postgres
    row = await postgres.fetchrow(
        f"DELETE FROM {table} WHERE pool_id = $1 AND seq = $2 RETURNING *", pool_id, seq
    )
    try:
        yield
    finally:
        await postgres.copy_records_to_table(
            table, records=[tuple(row.values())], columns=list(row.keys())
        )


async def _demo(folder: Path, *arguments: str, **environment: str) -> Ran:
    """The command, in *folder*, where it may leave its own; a KUJI_HOME is another's."""
    settings = {"TMPDIR": str(folder), "KUJI_HOME": str(folder / "home"), "COLUMNS": "100"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demo", *arguments),
        cwd=ROOT,
        env={**os.environ, **settings, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    return Ran(process.returncode, out.decode(), err.decode())


def _left_behind(folder: Path) -> list[Path]:
    return list(folder.glob("kuji-demo-*"))


async def test_demo_command_leaves_nothing_when_all_is_well(
    folder: Path, home: Path, endpoints: Endpoints
) -> None:
    """Both acts, on a stack of its own: the one that runs gets no user, and no folder stays."""
    stores = {"KUJI_POSTGRES_DSN": endpoints.postgres, "KUJI_REDIS_URL": endpoints.redis}
    before = await _users(endpoints)
    ran = await _demo(folder, *("--users", "10", "--draws", "60", "--prizes", "4:1.0"), **stores)
    assert ran.code == 0, ran.out + ran.err
    assert 2 == ran.out.count("The books balance.")
    assert re.search(r"Prize A +100\.00% +4 +4 +0\s", ran.out)
    assert re.search(r"F +Keyring +40 +40 +0\s", ran.out)
    assert re.search(r"Last prize\nd\*\*\*\d  Figure, black, with draw \d+-81\s", ran.out)
    assert re.search(r"B +Plush +∞ +\d+ +∞\s", ran.out)
    assert "✓ 60 draws, asked for again after kill -9, are the same ones" in ran.out
    assert "✓ the revealed seed gives every draw again, in order" in ran.out
    assert (before, []) == (await _users(endpoints), _left_behind(folder))
    assert Home(home).owner() is not None, "it stopped a stack that was not its own"


async def _users(endpoints: Endpoints) -> int:
    async with open_database(endpoints.postgres) as postgres:
        return int(await postgres.fetchval("SELECT count(*) FROM accounts"))


async def test_demo_command_exits_2_when_its_stack_cannot_start(folder: Path) -> None:
    """It says so in one sentence, and where the logs are."""
    ran = await _demo(folder, KUJI_REDIS_SERVER="/nonexistent")
    assert (2, "kuji: The stack did not start\n") == (ran.code, ran.err)
    (kept,) = _left_behind(folder)
    assert f"stay in {kept}" in ran.out.replace("\n", "")
    shutil.rmtree(kept)


@pytest.mark.parametrize(
    "arguments",
    [["--prizes", "5"], ["--users", "0"], ["--draws", "x"], ["--acts", "boxes,opera"]],
)
async def test_demo_command_exits_2_when_an_option_is_unfit(
    folder: Path, arguments: list[str]
) -> None:
    """A typing error starts nothing."""
    ran = await _demo(folder, *arguments)
    assert (2, []) == (ran.code, _left_behind(folder))
    assert arguments[0] in ran.err


async def test_demo_command_stops_its_stack_when_it_is_terminated(folder: Path) -> None:
    """SIGTERM in the middle of the demo leaves nothing running."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demo", "--users", "5", "--draws", "100000"),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            # The demo's own first line, after the stack's.
            while "5 users, 100000 draws" not in (
                line := (await process.stdout.readline()).decode()
            ):
                assert line, "it ended by itself"
            process.terminate()
            await process.stdout.read()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    assert code != 0
    assert [] == _left_behind(folder)

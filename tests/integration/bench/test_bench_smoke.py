"""The measurements still work; their speed is not judged here."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from stack.processes import ROOT
from tests.bench.__main__ import MEASURES
from tests.bench.pools import BooksError, compare
from tests.support.history import make_pool, make_users, recording, until_recorded

TIMEOUT_S = 560  # beside other tests, on a slow machine


async def run_bench(*arguments: str) -> tuple[int | None, str, str]:
    """Exit code, stdout and stderr of a run."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench", *arguments, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(TIMEOUT_S + 30)
async def test_bench_prints_every_figure_when_the_rows_equal_the_answers() -> None:
    """The smoke test measures every figure on real servers, checks every row, and ends well."""
    code, out, err = await run_bench("--smoke", "--json")
    assert code == 0, err[-5000:]
    figures = json.loads(out)["figures"]
    assert list(MEASURES) == list(dict.fromkeys(figure["id"] for figure in figures))
    assert all(figure["ratio"] is None or figure["ratio"] > 0 for figure in figures)


async def test_bench_refuses_a_figure_that_it_does_not_have() -> None:
    """A misspelt figure is named, and nothing is started."""
    code, _, err = await run_bench("M1", "M77")
    assert code == 2
    assert "unknown: M77" in err


@pytest.fixture
async def recorded(
    postgres: asyncpg.Pool, postgres_dsn: str, redis: Redis, redis_url: str, tmp_path: Path
) -> tuple[int, Path]:
    """A pool with two recorded draws, the second one a win, and what was acknowledged of them."""
    users = await make_users(postgres, 2)
    writer, prizes = await make_pool(postgres, redis)
    entry = await writer.draw([(users[0], 0), (users[1], prizes[0].prize_id)])
    async with recording(postgres_dsn, redis_url):
        await until_recorded(postgres, writer)
    lines = [
        f"{seq},{draw.user_id},{draw.request_id.decode()},{draw.prize_id}"
        for seq, draw in enumerate(entry.draws, 1)
    ]
    file = tmp_path / "acknowledged"
    file.write_text("\n".join(lines) + "\n")
    return writer.pool_id, file


async def test_books_pass_when_rows_equal_the_answers(
    postgres: asyncpg.Pool, recorded: tuple[int, Path]
) -> None:
    """Rows that say what was acknowledged are no reason to fail."""
    pool_id, file = recorded
    async with postgres.acquire() as connection:
        await compare(connection, pool_id, 0, file)


@pytest.mark.parametrize(
    ("tampering", "finding"),
    [
        ("DELETE FROM lottery_records WHERE seq = 1", "'lost': 1"),
        ("UPDATE lottery_records SET prize_id = NULL WHERE seq = 2", "'changed': 1"),
        ("UPDATE lottery_records SET user_id = 77 WHERE seq = 1", "'changed': 1"),
        ("UPDATE lottery_records SET request_id = 'x' WHERE seq = 1", "'changed': 1"),
        (
            "INSERT INTO lottery_records (pool_id, seq, user_id, request_id, draw_index,"
            " draw_count, user_draw_no, version, ticket, odds_weight, odds_total, created_at)"
            " SELECT id, 3, 1, 'y', 0, 1, 1, 1, 0, 1, 1, now() FROM pools",
            "'unasked': 1",
        ),
        ("DELETE FROM winners", "'not listed': 1"),
    ],
)
async def test_books_fail_when_a_row_is_not_what_was_answered(
    postgres: asyncpg.Pool, recorded: tuple[int, Path], tampering: str, finding: str
) -> None:
    """A lost, changed, unasked or unlisted draw is found and counted."""
    pool_id, file = recorded
    await postgres.execute(tampering)
    async with postgres.acquire() as connection:
        with pytest.raises(BooksError, match=finding):
            await compare(connection, pool_id, 0, file)

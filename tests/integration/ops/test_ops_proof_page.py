"""docs/proof.md is enough: a verifier that was written from it agrees with Kuji's ledgers."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from services.pool.rule.selection import PPB
from tests.support.command import run_kuji
from tests.support.draws import SEED
from tests.support.ledgers import TICKETS, WEIGHTS, Campaign, add_prize, open_campaign

VERIFIER = Path(__file__).with_name("proof_verifier.py")
Lines = list[dict[str, Any]]


def _verify(file: Path, seed: bytes = SEED) -> tuple[int, str]:
    """Its exit code, and what it says; it gets Python's standard library and nothing else."""
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(file), seed.hex()]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, ran.stderr


async def _exported(campaign: Campaign, file: Path, postgres_dsn: str, redis_url: str) -> Path:
    await campaign.record()
    ran = await run_kuji(
        *("export-ledger", "--pool", str(campaign.pool_id), file),
        KUJI_POSTGRES_DSN=postgres_dsn,
        KUJI_REDIS_URL=redis_url,
    )
    assert 0 == ran.code, ran.err
    return file


async def _odds(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    """Odds that change, prizes that come and go, limits of wins, many in one step, long names."""
    prizes = [{"units": 2, "weight": PPB // 5, "wins_per_user": 1}, {"weight": PPB // 4}]
    campaign = await open_campaign(postgres, redis, prizes, limits={"wins_per_user": 2})
    for number in range(6):
        await campaign.ask(*[(user, f"r{number}") for user in range(1, 20)])
    await campaign.draw((9, "x" * 64), (1 << 40, "ab", 7))
    campaign.config.prizes[0].units = 50
    await add_prize(campaign, units=40, name="Bär, 赏")
    campaign.config.prizes[1].enabled = False
    await campaign.publish()
    await campaign.draw_fresh(300)
    campaign.config.prizes[2].retired = True
    await campaign.publish()
    await campaign.draw_fresh(20)
    del campaign.config.prizes[2]
    await campaign.publish()
    await campaign.draw_fresh(20)
    return campaign


async def _tickets(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    """An ichiban box that sells out, its last prize with it."""
    items = [{"units": n, "weight": 0} for n in (1, 2, 20)]
    last = {"units": 1, "weight": 0, "last_prize": True}
    campaign = await open_campaign(postgres, redis, [*items, last], mode=TICKETS)
    await campaign.draw((1, "a", 10), (2, "a", 1))
    await campaign.draw((1, "b", 11), (3, "a", 1))
    return campaign


async def _weights(postgres: asyncpg.Pool, redis: Redis) -> Campaign:
    """Infinite goods: fixed weights, weights of stock, stock without end."""
    items = [{"units": -1, "weight": 70}, {"units": 4, "weight": 0}, {"units": 9, "weight": 30}]
    campaign = await open_campaign(postgres, redis, items, mode=WEIGHTS)
    await campaign.draw((1, "a", 100), (2, "a", 7), (3, "a"))
    campaign.config.prizes[2].retired = True
    await campaign.publish()
    await campaign.draw((2, "b", 50))
    return campaign


@pytest.mark.parametrize("play", [_odds, _tickets, _weights])
async def test_stranger_finds_that_every_draw_follows(
    play: Callable[..., Any],
    postgres: asyncpg.Pool,
    redis: Redis,
    postgres_dsn: str,
    redis_url: str,
    tmp_path: Path,
) -> None:
    """With the exported file and the seed alone; another seed is not the one committed to."""
    campaign = await play(postgres, redis)
    file = await _exported(campaign, tmp_path / "ledger.jsonl.gz", postgres_dsn, redis_url)
    assert (0, "") == _verify(file)
    code, said = _verify(file, bytes(32))
    assert (1, "commitment") == (code, said.partition(":")[0])


def _other_prize(lines: Lines) -> None:
    draw = next(draw for line in lines[2:] if "draws" in line for draw in line["draws"] if draw[5])
    draw[5] = 0


def _other_user(lines: Lines) -> None:
    lines[2]["draws"][0][0] += 1


def _a_draw_less(lines: Lines) -> None:
    del lines[3]["draws"][-1]


def _an_entry_less(lines: Lines) -> None:
    del lines[-1]


def _other_odds(lines: Lines) -> None:
    lines[1]["config"] = lines[1]["config"].replace('"wins_per_user": 1', '"wins_per_user": 2')


def _other_time(lines: Lines) -> None:
    lines[4]["drawn_ms"] += 1


def _more_units(lines: Lines) -> None:
    lines[1]["units"][0][2] += 1


async def test_stranger_finds_whatever_was_changed(
    postgres: asyncpg.Pool, redis: Redis, postgres_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    """A prize, a user, a draw or an entry less, odds, times, units."""
    campaign = await _odds(postgres, redis)
    file = await _exported(campaign, tmp_path / "ledger.jsonl.gz", postgres_dsn, redis_url)
    text = gzip.decompress(file.read_bytes()).decode()
    changed = tmp_path / "changed.jsonl"
    for change in (
        *(_other_prize, _other_user, _a_draw_less, _an_entry_less),
        *(_other_odds, _other_time, _more_units),
    ):
        lines = [json.loads(line) for line in text.splitlines()]
        change(lines)
        changed.write_text("\n".join(map(json.dumps, lines)))
        assert 1 == _verify(changed)[0], change.__name__

"""
A campaign runs; a backup is made while draws go on, then more is drawn, then all is lost.

Redis, Postgres and the secrets are gone, the marks on this machine's disk are not. What comes back
is what was backed up; what came after is said to the draw.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.support.command import Ran, run_kuji
from tests.support.edge import Call, caller, log_in_admin, register
from tests.support.stacks import StackUnderTest, stack_home

_UNITS = 1000
Result = dict[str, Any]


@pytest.fixture
def site() -> Iterator[StackUnderTest]:
    """A stack of this test alone, which does not run yet."""
    with stack_home() as home:
        yield StackUnderTest(home)


async def _kuji(site: StackUnderTest, *arguments: str | Path) -> Ran:
    ran = await run_kuji(*arguments, KUJI_HOME=str(site.home))
    assert 0 == ran.code, ran
    return ran


@asynccontextmanager
async def _clients(site: StackUnderTest) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=site.edge, timeout=20) as http:
        yield http


async def _open_activity(site: StackUnderTest, http: httpx.AsyncClient) -> str:
    admin = caller(http, await log_in_admin(http, site.admin))
    made = await admin("POST", "/admin/api/activities", json={"name": "Spring"})
    activity_id = str(made["activity_id"])
    prize = {"activity_id": activity_id, "name": "cup", "total_count": _UNITS, "probability": 0.5}
    await admin("POST", "/admin/api/prizes", json=prize)
    await admin("PUT", f"/admin/api/activities/{activity_id}", json={"status": "ongoing"})
    return activity_id


async def _draw(user: Call, activity_id: str, name: str) -> Result:
    request = {"activity_id": activity_id, "request_id": name}
    result: Result = await user("POST", "/api/lottery/draw", json=request)
    return result


async def _draw_all(user: Call, activity_id: str, names: list[str]) -> dict[str, Result]:
    return {name: await _draw(user, activity_id, name) for name in names}


async def _draw_until(made: asyncio.Event, user: Call, activity_id: str) -> dict[str, Result]:
    """One draw after the other while the backup is made."""
    drawn: dict[str, Result] = {}
    while not made.is_set():
        drawn |= await _draw_all(user, activity_id, [f"meanwhile-{len(drawn)}"])
    return drawn


async def _until_recorded(site: StackUnderTest, draws: int) -> None:
    connection = await asyncpg.connect(site.postgres)
    async with asyncio.timeout(30):
        while draws > await connection.fetchval("SELECT sum(draws)::bigint FROM pools"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await connection.close()


def _seq(result: Result) -> int:
    return int(str(result["draw_id"]).partition("-")[2])


async def test_campaign_comes_back_from_its_backup_when_all_else_is_lost(
    site: StackUnderTest, tmp_path: Path
) -> None:
    """Books balance, replays find their draws, and no id is given a second time."""
    phrase, backup = tmp_path / "phrase", tmp_path / "backup"
    phrase.write_text("correct horse battery staple\n")
    secrets = site.home / "secrets.json"
    async with site.running_beside(), _clients(site) as http:
        token = (await register(http))["access_token"]
        user, activity_id = caller(http, token), await _open_activity(site, http)
        before = await _draw_all(user, activity_id, [f"before-{n}" for n in range(10)])
        await _until_recorded(site, len(before))
        made = asyncio.Event()
        meanwhile = asyncio.create_task(_draw_until(made, user, activity_id))
        ran = await _kuji(site, "backup", backup, "--passphrase-file", phrase)
        made.set()
        drawn = before | await meanwhile
        drawn |= await _draw_all(user, activity_id, [f"after-{n}" for n in range(5)])
        assert not [text for text in _secrets_of(secrets) if text in ran.out + ran.err]
    saved = int(re.findall(r"(\d+) draws of 1 pool", ran.out)[0])
    assert len(before) <= saved <= len(drawn) - 5
    for part in ("valkey", "postgres"):
        shutil.rmtree(site.home / "data" / part)
    secrets.unlink()

    ran = await _kuji(site, "restore", backup, "--passphrase-file", phrase)
    lost = f"draws {saved + 1} to {len(drawn)} are lost, though answered"
    assert lost in ran.out
    assert "kuji rebuild; kuji reconcile; kuji doctor" in ran.out
    async with site.running_beside(), _clients(site) as http:
        assert f"{len(drawn) - saved} answered draws are lost" in (await _kuji(site, "rebuild")).out
        assert "the books balance" in (await _kuji(site, "reconcile")).out
        # The signing keys are back with the secrets, and so the token is good.
        user = caller(http, token)
        for name, result in [*drawn.items()][:5] + [*drawn.items()][-8:]:
            again = await _draw(user, activity_id, name)
            if _seq(result) <= saved:
                assert result | {"replayed": True} == again
            else:
                assert _seq(again) > len(drawn)
        assert "the books balance" in (await _kuji(site, "reconcile")).out


def _secrets_of(file: Path) -> list[str]:
    return re.findall(r'": "([^"]+)"', file.read_text())

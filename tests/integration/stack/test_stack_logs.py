"""Logs are cut while their parts run."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from stack import logs
from stack.processes import Child, Program, stop
from tests.support.disks import fill, small_disk

_LINE_BYTES = 8


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # other processes tell nothing
            await asyncio.sleep(0.01)


def _talker(folder: Path) -> Program:
    """Says 100 numbered lines for each line that it is told."""
    os.mkfifo(folder / "go")
    script = (
        "n=0; while read -r line; do "
        "for i in $(seq 100); do n=$((n + 1)); printf '%07d\\n' $n; done; done"
    )
    folder.joinpath("logs").mkdir()
    command = ["sh", "-c", f"exec <> {folder}/go; {script}"]
    return Program("talker", command, folder / "logs" / "talker.log")


def _numbers(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def test_log_is_cut_while_its_part_goes_on(tmp_path: Path) -> None:
    """
    What was said is in the older file, what is said next in the newer, from its beginning; of a log
    cut again, the oldest goes. The last words are found wherever the file begins.
    """
    program = _talker(tmp_path)
    log, old = program.log, program.log.with_suffix(".old.log")
    child = Child(program)
    try:
        for said in (1, 2, 3):
            (tmp_path / "go").write_text("\n")
            await _until(lambda: _numbers(log)[-1:] == [said * 100])  # noqa: B023
            logs.cut_large(log.parent, 100 * _LINE_BYTES)  # not larger
            assert _numbers(log) == list(range((said - 1) * 100 + 1, said * 100 + 1))
            logs.cut_large(log.parent, 99 * _LINE_BYTES)
            assert (0, 100) == (log.stat().st_size, len(_numbers(old)))
        assert 201 == _numbers(old)[0]
        assert 0o600 == old.stat().st_mode & 0o777
        (tmp_path / "go").write_text("\n")
        await _until(lambda: _numbers(log)[-1:] == [400])
        assert child.log_end().endswith("0000400")
    finally:
        stop([child], timeout_s=5)


def test_logs_stay_small_when_the_disk_is_full() -> None:
    """The older log goes first, then the newer; nothing fails, and there is room for what comes."""
    with small_disk(1 << 20) as disk:
        log, old, filler = (disk / name for name in ("part.log", "part.old.log", "filler"))
        for before, kept in ((200_000, 100_000), (1_000, None)):
            log.write_bytes(b"." * 100_000)
            old.write_bytes(b"." * before)
            fill(filler)
            logs.cut_large(disk, 10_000)
            assert 0 == log.stat().st_size
            assert kept == (old.stat().st_size if old.exists() else None)
            filler.unlink()


async def test_logs_are_looked_at_without_end(tmp_path: Path) -> None:
    """A folder that is not there yet, and a log that cannot be cut, end nothing."""
    keeping = asyncio.ensure_future(logs.keep_small(tmp_path / "logs", 10))
    try:
        await asyncio.sleep(0)
        unfit, log = tmp_path / "logs" / "a.log", tmp_path / "logs" / "b.log"
        unfit.mkdir(parents=True)
        log.write_bytes(b"." * 11)
        await _until(lambda: log.stat().st_size == 0)
        assert not keeping.done()
    finally:
        keeping.cancel()

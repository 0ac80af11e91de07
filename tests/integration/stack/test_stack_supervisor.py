"""The supervisor and its children, with small programs in place of the parts."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from stack import processes
from stack.parts import Part
from stack.processes import ROOT, Child, Program, StackError, stop
from stack.supervisor import Pauses, Supervisor
from tests.support.stacks import is_alive


async def _at_once() -> bool:
    return True


async def _says_ready(log: Path) -> bool:
    return "ready" in await asyncio.to_thread(log.read_text)


async def _never() -> bool:
    return False


def _shell(tmp_path: Path, name: str, script: str) -> Program:
    return Program(name, ["sh", "-c", script], tmp_path / f"{name}.log")


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # other processes tell nothing
            await asyncio.sleep(0.01)


class Watched:
    """A supervisor, and what it reported."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pids: dict[str, int] = {}
        pauses = Pauses(first_s=0.001, longest_s=0.1)
        self.supervisor = Supervisor(self.lines.append, self._see, pauses)

        self.full_disks = 0

    def _see(self, pids: dict[str, int]) -> None:
        if self.full_disks:
            self.full_disks -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.pids = pids

    @asynccontextmanager
    async def keeping(self, *parts: Part) -> AsyncIterator[None]:
        """*parts*, started and kept running; the keeping goes on to the end of the block."""
        await self.supervisor.start(parts)
        keeping = asyncio.ensure_future(self.supervisor.keep())
        yield
        assert not keeping.done()
        keeping.cancel()


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A supervisor that is stopped in the end."""
    watched = Watched()
    yield watched
    watched.supervisor.stop()


async def test_part_runs_again_when_it_was_killed(watched: Watched, tmp_path: Path) -> None:
    """A killed part comes back under a new process id, and the report says so."""
    part = Part(_shell(tmp_path, "sleeper", "exec sleep 600"), _at_once)
    async with watched.keeping(part):
        first = watched.pids["sleeper"]
        os.kill(first, signal.SIGKILL)
        await _until(lambda: "sleeper is back" in watched.lines[-1])
        assert is_alive(watched.pids["sleeper"])
    assert watched.pids["sleeper"] != first
    assert "! sleeper died (code -9); starting it in 0.0 s" in watched.lines[-2]


async def test_part_is_started_again_however_often_it_dies(
    watched: Watched, tmp_path: Path
) -> None:
    """Deaths without end take nothing else down; pauses grow to a bound, and the report says so."""
    mayfly = Part(_shell(tmp_path, "mayfly", "echo $$; exit 3"), _at_once)
    sleeper = Part(_shell(tmp_path, "sleeper", "exec sleep 600"), _at_once)
    async with watched.keeping(mayfly, sleeper):
        first = watched.pids["sleeper"]
        await _until(lambda: len(mayfly.program.log.read_text().split()) > 8)
        assert (True, first) == (is_alive(first), watched.pids["sleeper"])
    deaths = [line for line in watched.lines if line.startswith("! mayfly died (code 3)")]
    assert deaths[0].endswith(f"starting it in 0.0 s; see {mayfly.program.log}")
    assert "died (code 3), 6 times so far; starting it in 0.1 s" in deaths[-1]
    assert 6 == len(deaths)


def test_pauses_grow_to_a_bound() -> None:
    """However often a part has died, it is tried again within seconds."""
    pauses = Pauses()
    given = [round(pauses.before(start), 1) for start in (1, 2, 3, 4, 5, 6, 10_000)]
    assert [0.1, 0.3, 0.9, 2.7, 5.0, 5.0, 5.0] == given


async def test_nothing_ends_when_the_disk_is_full(watched: Watched, tmp_path: Path) -> None:
    """Neither the list of processes nor a log that cannot be written ends the supervisor."""
    part = Part(_shell(tmp_path / "logs", "sleeper", "exec sleep 600"), _at_once)
    async with watched.keeping(part):
        first = watched.pids["sleeper"]
        watched.full_disks = 1
        part.program.log.unlink()
        part.program.log.mkdir()  # opening it fails, as where there is no inode left
        os.kill(first, signal.SIGKILL)
        await _until(lambda: any("cannot be started" in line for line in watched.lines))
        part.program.log.rmdir()
        await _until(lambda: watched.pids["sleeper"] != first)


async def test_part_is_mended_before_it_starts(watched: Watched, tmp_path: Path) -> None:
    """After a failure it is looked at thoroughly, and what was done is reported."""
    healed = tmp_path / "healed"
    asked: list[bool] = []

    def mend(has_failed: bool) -> str | None:
        asked.append(has_failed)
        if not has_failed or healed.exists():
            return None
        healed.touch()
        return "it was torn"

    script = f"test -e {healed} || exit 1; echo ready; exec sleep 600"
    program = _shell(tmp_path, "store", script)
    await watched.supervisor.start([Part(program, partial(_says_ready, program.log), mend)])
    assert ([False, True], "! it was torn") == (asked, watched.lines[0])


async def test_start_fails_when_a_part_ends(watched: Watched, tmp_path: Path) -> None:
    """The sentence names the part that ended, its code and its last words."""
    healthy = Part(_shell(tmp_path, "sleeper", "exec sleep 600"), _never)
    broken = Part(_shell(tmp_path, "broken", "echo no secret >&2; exit 2"), _never)
    with pytest.raises(
        StackError, match=r"broken ended at start with code 2.*broken.log"
    ) as caught:
        await watched.supervisor.start([healthy], [broken])
    assert str(caught.value).endswith("no secret")


async def test_start_fails_when_a_part_is_never_ready(tmp_path: Path) -> None:
    """A part that only hangs does not hang the start."""
    child = Child(_shell(tmp_path, "sleeper", "exec sleep 600"))
    with pytest.raises(StackError, match="sleeper is not ready after 0 s"):
        await child.wait_until_ready(_never, timeout_s=0.1)
    stop([child], timeout_s=5)


async def test_end_of_a_part_is_told_and_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """G11: parts that run cost their supervisor nothing."""
    os.mkfifo(tmp_path / "go")
    child = Child(_shell(tmp_path, "waiting", f"read -r line < {tmp_path}/go; exit 7"))
    monkeypatch.setattr(processes, "_end_of", watching := Mock(wraps=processes._end_of))
    waiting = asyncio.create_task(child.wait())
    await _until(lambda: watching.called)
    await asyncio.to_thread((tmp_path / "go").write_text, "\n")
    assert 7 == await waiting
    assert 1 == watching.call_count


async def test_last_words_are_of_the_newest_run(tmp_path: Path) -> None:
    """An old failure in the log is not taken for the new one."""
    program = _shell(tmp_path, "speaker", 'echo "words of $$"')
    first, second = Child(program), Child(program)
    assert [0, 0] == [await first.wait(), await second.wait()]
    assert f"words of {second.pid}" in second.log_end()
    assert f"words of {first.pid}" not in Child(program).log_end()


async def test_parts_stop_in_reverse_order(watched: Watched, tmp_path: Path) -> None:
    """What started last stops first, and a group stops before the next is asked to."""
    order = tmp_path / "order"
    for name in ("store", "service", "edge"):
        script = (
            f"trap 'echo {name} >> {order}; exit' TERM; echo ready; while :; do sleep 0.01; done"
        )
        program = _shell(tmp_path, name, script)
        await watched.supervisor.start([Part(program, partial(_says_ready, program.log))])
    watched.supervisor.stop()
    assert ["edge", "service", "store"] == order.read_text().split()


async def test_part_is_killed_when_it_ignores_the_request(tmp_path: Path) -> None:
    """Stopping is bounded, whatever the part does."""
    program = _shell(tmp_path, "stubborn", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    child = Child(program)
    await _until(lambda: "ready" in program.log.read_text())
    stop([child], timeout_s=0.1)
    assert -signal.SIGKILL == child.exit_code()


def test_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Nothing is left behind, even where the parent had no chance to clean up."""
    script = (
        "import sys, time; from pathlib import Path; from stack.processes import Child, Program;"
        "print(Child(Program('child', ['sleep', '600'], Path(sys.argv[1]))).pid, flush=True);"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "child.log")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)

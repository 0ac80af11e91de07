"""A real Valkey after a power loss: it starts by itself, with all that was answered."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from stack import aof, servers
from stack.parts import Part
from stack.ports import free_port
from stack.processes import StackError
from stack.supervisor import Supervisor

# A script's writes are one transaction in the log.
_SCRIPT = (
    "redis.call('HSET', KEYS[1], 'f', ARGV[1]); redis.call('XADD', KEYS[2], '*', 'd', ARGV[1])"
)


class Place:
    """A Valkey that is started as in a stack, and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        program = servers.valkey(self.folder, self.port, folder / "log")
        answers = partial(servers.valkey_answers, self.url)
        self._part = Part(program, answers, mend=partial(aof.mend, self.folder))
        self.lines: list[str] = []
        self.pid = 0
        self._supervisor = Supervisor(self.lines.append, self._see)

    def _see(self, pids: dict[str, int]) -> None:
        self.pid = pids["valkey"]

    async def start(self) -> None:
        """Start it."""
        await self._supervisor.start([self._part])

    def kill(self) -> None:
        """Kill it, if it runs."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._supervisor.stop()

    @property
    def log(self) -> Path:
        """What commands are appended to."""
        return self.folder / "appendonlydir" / "appendonly.aof.1.incr.aof"

    async def write(self) -> None:
        """Some answered commands, with zeros in them."""
        async with Redis.from_url(self.url) as client:
            for n in range(20):
                await client.eval(_SCRIPT, 2, "{a}h", "{a}l", bytes(n))

    async def read(self) -> tuple[Any, int]:
        """What is there: the newest value, and how many there were."""
        async with Redis.from_url(self.url) as client:
            return await client.hget("{a}h", "f"), await client.xlen("{a}l")


@pytest.fixture(name="place")
async def _place(tmp_path: Path) -> AsyncIterator[Place]:
    """One that has answered commands, and was killed."""
    place = Place(tmp_path)
    await place.start()
    await place.write()
    place.kill()
    yield place
    place.kill()


TORN = {
    "zeros": bytes(12),
    "many zeros": bytes(100_000),
    "value": b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$50\r\nonly a part of",
    "value and zeros": b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$50\r\nonly a part of" + bytes(70),
    "transaction": b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
    "whole line": b"*3\r\n$3\r\nSET\r\n",
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
async def test_nothing_answered_is_lost_when_the_end_is_torn(place: Place, torn: bytes) -> None:
    """It starts by itself, says what was cut, and goes on writing."""
    with place.log.open("ab") as log:  # a few bytes
        log.write(torn)
    await place.start()
    assert (bytes(19), 20) == await place.read()
    assert f"{len(torn)} bytes of commands that were never answered" in "".join(place.lines)
    await place.write()
    place.kill()
    await place.start()
    assert (bytes(19), 40) == await place.read()


async def test_start_fails_with_true_advice_when_the_middle_is_damaged(place: Place) -> None:
    """Nothing is cut; the sentence says where the damage is and what to read."""
    content = place.log.read_bytes()
    middle = content.index(b"MULTI", len(content) // 2)
    spoilt = content[:middle] + bytes(5) + content[middle + 5 :]
    place.log.write_bytes(spoilt)
    with pytest.raises(StackError, match=r"is damaged at byte \d+.* docs/runbook.md"):
        await place.start()
    assert spoilt == place.log.read_bytes()

"""
python -m tests.bench.accounts [COUNT] [ROUNDS]: making accounts in bulk, and tokens for them.

A bare COPY of the same rows into a table like accounts, and `kuji users create --count COUNT`, in
turn, each into a database of its own; then the command on a database where it was killed on its
way, and `kuji users tokens --count COUNT`. Memory is the most that the command ever had.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import asyncpg

from tests.bench.scale import FULL
from tests.bench.servers import Bench, open_bench
from tests.support.history import eventually

_HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "h" * 43
_BLOCK = 1000
_KILLED_AT = 0.4  # of all accounts
_PREFIX = "load_"


@dataclass(frozen=True)
class Run:
    """A command: how long it took, and the most memory that it had."""

    seconds: float
    mib: float
    code: int


class Accounts:
    """The measurement of *count* accounts."""

    def __init__(self, bench: Bench, folder: Path, count: int) -> None:
        self._bench = bench
        self._folder = folder
        self._count = count

    async def copied(self, name: str) -> float:
        """Seconds of a bare COPY."""
        dsn = await self._bench.new_database(name)
        connection = await asyncpg.connect(dsn)
        began = time.monotonic()
        await connection.copy_to_table(
            "accounts", columns=["username", "password_hash"], source=_rows(self._count)
        )
        seconds = time.monotonic() - began
        await connection.close()
        return seconds

    async def created(self, name: str) -> Run:
        """The command on an empty database."""
        return await self._create(await self._bench.new_database(name))

    async def created_after_a_kill(self, name: str) -> tuple[int, Run]:
        """How many accounts a killed command left, and the command that goes on."""
        dsn = await self._bench.new_database(name)
        command = await self._start(dsn, "create", "--count", str(self._count))
        await self._until(dsn, int(self._count * _KILLED_AT))
        command.send_signal(signal.SIGKILL)
        await command.wait()
        left = await self.accounts(dsn)
        run = await self._create(dsn)
        assert await self.accounts(dsn) == self._count, "accounts were made twice, or not at all"
        return left, run

    async def tokens(self, name: str) -> Run:
        """Tokens for the accounts of the database *name*."""
        file = str(self._folder / f"{name}.tokens")
        dsn = f"{self._bench.postgres_server}/{name}"
        return await self._run(dsn, "tokens", "--count", str(self._count), "--out", file)

    async def accounts(self, dsn: str) -> int:
        """How many there are, the administrator aside."""
        connection = await asyncpg.connect(dsn)
        query = "SELECT count(*) FROM accounts WHERE username LIKE 'load%'"
        found: int = await connection.fetchval(query)
        await connection.close()
        return found

    async def _until(self, dsn: str, count: int) -> None:
        connection = await asyncpg.connect(dsn)

        async def are_there() -> bool:
            made = await connection.fetchval("SELECT sum(created) FROM bulk_accounts")
            return int(made or 0) >= count

        await eventually(are_there)
        await connection.close()

    async def _create(self, dsn: str) -> Run:
        return await self._run(dsn, "create", "--count", str(self._count))

    async def _start(self, dsn: str, *arguments: str) -> asyncio.subprocess.Process:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KUJI_")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ops.cli", "users", *arguments, "--prefix", _PREFIX),
            env={
                **environment,
                "KUJI_POSTGRES_DSN": dsn,
                "KUJI_TOKEN_KEY_SECRET": "5e" * 32,
                "KUJI_HOME": str(self._folder),
            },
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def _run(self, dsn: str, *arguments: str) -> Run:
        began = time.monotonic()
        command = await self._start(dsn, *arguments)
        watching = asyncio.create_task(_most_memory(command.pid))
        code = await command.wait()
        seconds = time.monotonic() - began
        assert code == 0, f"{arguments} failed"
        return Run(seconds, await watching, code)


async def _most_memory(pid: int) -> float:
    """MiB that the process and its children had at most together; until it is gone."""
    most = 0.0
    while True:
        mib = sum(map(_resident_mib, [pid, *_children(pid)]))
        if not mib:
            return most
        most = max(most, mib)
        await asyncio.sleep(0.2)


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def _resident_mib(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


async def _rows(count: int) -> AsyncIterator[bytes]:
    for start in range(1, count + 1, _BLOCK):
        numbers = range(start, min(start + _BLOCK, count + 1))
        yield "".join([f"{_PREFIX}{number}\t{_HASH}\n" for number in numbers]).encode()


async def _measure(count: int, rounds: int) -> None:
    async with open_bench(FULL) as bench:
        accounts = Accounts(bench, Path(bench.folder), count)
        ratios = []
        for number in range(rounds):
            bare = await accounts.copied(f"bare_{number}")
            run = await accounts.created(f"made_{number}")
            ratios.append(bare / run.seconds)
            print(
                f"bare COPY {count / bare:,.0f}/s; kuji users create {count / run.seconds:,.0f}/s, "
                f"{run.seconds:.0f} s, {run.mib:.0f} MiB: {ratios[-1]:.2f}",
                flush=True,
            )
        print(f"ratio {median(ratios):.2f} (goal 0.5)", flush=True)
        left, again = await accounts.created_after_a_kill("killed")
        print(
            f"killed at {left:,}, the rest in {again.seconds:.0f} s: exactly {count:,}", flush=True
        )
        run = await accounts.tokens("made_0")
        print(f"tokens {count / run.seconds:,.0f}/s (goal 20,000), {run.mib:.0f} MiB", flush=True)


def _argument(place: int, default: int) -> int:
    return int(sys.argv[place]) if len(sys.argv) > place else default


if __name__ == "__main__":
    asyncio.run(_measure(_argument(1, 1_000_000), _argument(2, 3)))

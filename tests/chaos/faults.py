"""The table of faults: what may befall the parts of a stack."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis

from services.common.tasks import pause
from stack import databases
from stack.home import Home
from tests.support.full_database import EMPTY, FILL, execute
from tests.support.stacks import StackUnderTest, is_alive

HOME_SIZE = "4g"  # of the file system of KUJI_HOME: a bound, what is not used costs nothing
_ROOM_KIB = 16 << 10  # left to those who write while the size is changed
_STORM_S = 0.05
_DRAWN_ON_S = 4.0  # after the older copy was made
_ALARMED_S = 60.0  # the books are audited every 15 s
_OLDER = frozenset({'"the store is older than what was answered"', '"Redis is at draw '})
READ_ONLY = "ALTER SYSTEM SET default_transaction_read_only = on"
WRITABLE = "ALTER SYSTEM RESET default_transaction_read_only"
RELOAD = "SELECT pg_reload_conf()"
END_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Ground:
    """A running stack, as somebody sees it who may do everything to it."""

    def __init__(self, stack: StackUnderTest) -> None:
        self.stack = stack

    def pid(self, part: str) -> int:
        """The process id of a part."""
        return self.stack.pids()[part]

    def redis(self) -> Redis:
        """A client of the store, as its operator; close it."""
        return Redis.from_url(self.stack.redis)

    def postgres(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection to the database, as the superuser."""
        port = int(urlsplit(self.stack.postgres).port or 0)
        folder = self.stack.home / "data" / "postgres"
        return databases.superuser(folder, port, databases.DATABASE)


Act = Callable[[Ground], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """
    A row of the table.

    Args:
        name: What happens.
        act: Makes it begin, and end.
        seconds: How long it lasts.
        dies: Parts that end by it, or may, and are started again by the supervisor.
        kills: Whether they do end.
        mute: Parts that may give no answer at all: envoy, or the draw process that is called.
        needs_root: Whether only root can bring it about.
        reasons: What may be told as well, while it lasts.
        alarms: Parts of the lines of the logs that have to call for an operator.
    """

    name: str
    act: Act
    seconds: float = 0.0
    dies: frozenset[str] = frozenset()
    kills: bool = False
    mute: frozenset[str] = frozenset()
    needs_root: bool = False
    reasons: frozenset[str] = frozenset()
    alarms: frozenset[str] = frozenset()


def killed(*parts: str) -> Fault:
    """These parts are ended as by kill -9."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        for part in parts:
            os.kill(ground.pid(part), signal.SIGKILL)
        yield

    name = f"{' and '.join(parts)} killed"
    return Fault(name, act, 0, frozenset(parts), kills=True, mute=frozenset(parts))


def frozen(part: str, seconds: float) -> Fault:
    """A part is stopped, with its children, and goes on later."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        pids = [ground.pid(part)]
        os.kill(pids[0], signal.SIGSTOP)  # first, so that it gets no more children
        pids += _children(pids[0])
        for pid in pids[1:]:
            _signal(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                _signal(pid, signal.SIGCONT)

    return Fault(f"{part} frozen", act, seconds, mute=frozenset({part}))


def _children(pid: int) -> Sequence[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def cut(part: str, seconds: float) -> Fault:
    """All connections to a store are ended by it, again and again."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if part == "valkey":
                redis = await stack.enter_async_context(ground.redis())

                async def end() -> object:
                    return await redis.client_kill_filter(_type="normal", skipme=True)
            else:
                postgres = await stack.enter_async_context(ground.postgres())

                async def end() -> object:
                    return await postgres.execute(END_CONNECTIONS)

            task = asyncio.ensure_future(_again_and_again(end))
            yield
            task.cancel()
            await asyncio.wait([task])

    return Fault(f"{part}'s connections cut", act, seconds)


async def _again_and_again(do: Callable[[], Awaitable[object]]) -> None:
    while True:
        await do()
        await pause(_STORM_S)


def memory_full(seconds: float) -> Fault:
    """The store has no memory left to write with."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        async with ground.redis() as redis:
            before = str((await redis.config_get("maxmemory"))["maxmemory"])
            await redis.config_set("maxmemory", "1mb")
            yield
            await redis.config_set("maxmemory", before)

    return Fault("valkey's memory full", act, seconds)


def replica(seconds: float) -> Fault:
    """The store is a replica, as before a failover: it takes no writes."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        async with ground.redis() as redis:
            await redis.replicaof("127.0.0.1", "1")
            yield
            await redis.replicaof("NO", "ONE")

    return Fault("valkey read-only", act, seconds)


def stated(name: str, begin: Sequence[str], end: Sequence[str], seconds: float) -> Fault:
    """The database is told so by the superuser, and told otherwise later."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        for statements, is_end in ((begin, False), (end, True)):
            async with ground.postgres() as postgres:
                await postgres.execute("SET default_transaction_read_only = off")
                for statement in statements:
                    await execute(postgres, statement)
            if not is_end:
                yield

    return Fault(name, act, seconds)


def read_only(seconds: float) -> Fault:
    """Postgres takes no writes, as a standby."""
    return stated("postgres read-only", [READ_ONLY, RELOAD], [WRITABLE, RELOAD], seconds)


def database_full(seconds: float) -> Fault:
    """Postgres says of every write that its disk is full."""
    return stated("postgres's disk full", [FILL], [EMPTY], seconds)


def disk_full(seconds: float) -> Fault:
    """Nothing more can be written below KUJI_HOME, which is a file system of its own."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        home = ground.stack.home
        usage, filler = os.statvfs(home), home / "filler"
        used_kib = (usage.f_blocks - usage.f_bfree) * usage.f_frsize // 1024
        _resize(home, f"{used_kib + _ROOM_KIB}k")
        try:
            await asyncio.to_thread(_fill, filler)
            yield
        finally:
            filler.unlink()
            _resize(home, HOME_SIZE)

    dies = frozenset({"valkey", "postgres"})
    return Fault("disk full", act, seconds, dies, needs_root=True)


def older_copy(seconds: float) -> Fault:
    """The store comes back with what it had a while ago; later somebody finds the newest again."""

    @asynccontextmanager
    async def act(ground: Ground) -> AsyncIterator[None]:
        data = ground.stack.home / "data" / "valkey"
        older, newest = data.with_name("valkey-older"), data.with_name("valkey-newest")
        shutil.copytree(data, older)
        await asyncio.sleep(_DRAWN_ON_S)
        async with _valkey_gone(ground):
            data.rename(newest)
            older.rename(data)
        try:
            yield
            await _until_logged(ground, _OLDER)
        finally:
            async with _valkey_gone(ground):
                shutil.rmtree(data)
                newest.rename(data)

    return Fault(
        "valkey's data older",
        act,
        seconds,
        dies=frozenset({"valkey"}),
        kills=True,
        reasons=frozenset({"POOL_NOT_LOADED"}),
        alarms=_OLDER,
    )


async def _until_logged(ground: Ground, alarms: Collection[str]) -> None:
    """Return once draw processes have logged all of *alarms*, or will not: the verdict tells."""
    deadline = time.monotonic() + _ALARMED_S
    while time.monotonic() < deadline:
        logs = (ground.stack.home / "logs").glob("draw*.log")
        said = "".join([log.read_text() for log in logs])
        if all(alarm in said for alarm in alarms):
            return
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _valkey_gone(ground: Ground) -> AsyncIterator[None]:
    """Valkey is killed, and not started again within."""
    supervisor, valkey = Home(ground.stack.home).owner(), ground.pid("valkey")
    if supervisor is None:
        raise AssertionError("there is no supervisor")
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(valkey, signal.SIGKILL)
        while is_alive(valkey):  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(0.01)
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)
    while ground.pid("valkey") == valkey:  # noqa: ASYNC110  # nothing tells us
        await asyncio.sleep(0.05)


def _resize(folder: Path, size: str) -> None:
    """Give the tmpfs that is mounted there another size."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def _fill(file: Path) -> None:
    """Write *file* until there is no room for a byte more."""
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    filler.write(bytes(size))


SHORT: Sequence[Fault] = (
    killed("valkey"),
    killed("postgres"),
    killed("envoy", "auth"),
    cut("valkey", 1),
    read_only(2),
    database_full(1),
    frozen("draw", 1),
)
LONG: Sequence[Fault] = (
    *(
        killed(part)
        for part in (
            *("valkey", "postgres", "auth", "draw", "draw-2", "admin", "history", "recorder"),
            "envoy",
        )
    ),
    killed("draw", "draw-2"),
    killed("envoy", "auth"),
    killed("postgres", "draw"),
    killed("valkey", "recorder"),
    *(frozen(part, 8) for part in ("auth", "draw", "admin", "history", "recorder", "envoy")),
    cut("valkey", 8),
    cut("postgres", 8),
    replica(8),
    read_only(25),
    database_full(20),
    memory_full(20),
    disk_full(20),
    frozen("valkey", 20),
    frozen("postgres", 60),
    frozen("auth", 70),  # longer than the edge keeps keys
    older_copy(10),
)

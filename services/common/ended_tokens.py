"""
Access tokens that are over before they expire, as every service knows them.

Access tokens are good by themselves, for minutes. What ends them earlier (an account deactivated, a
password changed, a role taken, a session ended) is in two tables that auth writes, and that each
process follows: told by Postgres, it knows within milliseconds. A process that Postgres is away
from goes on with what it knows.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import asyncpg
from prometheus_client import Gauge

from services.common.context import Caller
from services.common.postgres import load_queries
from services.common.tasks import Trouble, pause, until_beat

AGE_S = Gauge("kuji_ended_tokens_age_seconds", "Since this process last read which tokens are over")
CHANNEL = "kuji_ended_tokens"

_queries = load_queries(__file__)
_TIMEOUT_S = 5.0
_READ_EVERY_S = 2.0  # told or not
_FORGET_EVERY_S = 60.0
_FIRST_READ_S = 1.0
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
# Rows of transactions that committed late have times from before others that were read.
_OVERLAP = timedelta(seconds=60)
_CLOCK_SKEW_S = 600.0


class EndedTokens:
    """What this process knows; nothing at first."""

    def __init__(self) -> None:
        self._generations: dict[int, tuple[int, float]] = {}
        self._sessions: dict[str, float] = {}

    def include(self, caller: Caller) -> bool:
        """Whether the token of *caller* is over."""
        below, _ = self._generations.get(caller.user_id, (0, 0.0))
        return caller.generation < below or caller.session_id in self._sessions

    def end_generation(self, user_id: int, below: int, expires_at: float) -> None:
        """From now on, tokens of *user_id* of a generation below *below* are over."""
        known, _ = self._generations.get(user_id, (0, 0.0))
        self._generations[user_id] = max(below, known), expires_at

    def end_session(self, session_id: str, expires_at: float) -> None:
        """From now on, tokens of that session are over."""
        self._sessions[session_id] = expires_at

    def forget_expired(self, now: float) -> None:
        """Forget what no token that has not expired can belong to; times are Unix seconds."""
        self._generations = {
            user_id: ended for user_id, ended in self._generations.items() if ended[1] > now
        }
        self._sessions = {
            session_id: expires_at
            for session_id, expires_at in self._sessions.items()
            if expires_at > now
        }


class _Follower:
    """Keeps *ended* at what Postgres says."""

    def __init__(self, dsn: str, ended: EndedTokens) -> None:
        self._dsn = dsn
        self._ended = ended
        self._since = _BEGINNING
        self._trouble = Trouble("follow_ended_tokens")
        self._read_at = self._forget_at = time.monotonic()
        self.has_read = asyncio.Event()
        AGE_S.set_function(lambda: time.monotonic() - self._read_at)

    async def follow(self) -> None:
        """Go on until cancelled, whatever happens to Postgres."""
        while True:
            await pause(await self._trouble.survived(self._follow_connection()))

    async def _follow_connection(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S
        )
        changed = asyncio.Event()
        try:
            await connection.add_listener(CHANNEL, lambda *_: changed.set())
            connection.add_termination_listener(lambda _: changed.set())
            while True:
                changed.clear()
                await self._read(connection)
                await pause(0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(until_beat(_READ_EVERY_S)):
                        await changed.wait()
        finally:
            connection.terminate()

    async def _read(self, connection: asyncpg.Connection) -> None:
        since = self._since
        async for row in _queries.list_ended_tokens(connection, since=since - _OVERLAP):
            self._since = max(self._since, row["changed_at"])
            expires_at = row["expires_at"].timestamp() + _CLOCK_SKEW_S
            if row["session_id"] is None:
                self._ended.end_generation(row["user_id"], row["below"], expires_at)
            else:
                self._ended.end_session(str(row["session_id"]), expires_at)
        self._read_at = time.monotonic()
        if self._read_at > self._forget_at:
            self._ended.forget_expired(time.time())
            self._forget_at = self._read_at + _FORGET_EVERY_S
        self._trouble.over()
        self.has_read.set()


@asynccontextmanager
async def following_ended_tokens(dsn: str) -> AsyncIterator[EndedTokens]:
    """
    What Postgres at *dsn* says, read once and followed until this is left.

    Where Postgres does not answer within seconds, it begins with nothing: the service serves.
    """
    ended = EndedTokens()
    follower = _Follower(dsn, ended)
    following = asyncio.create_task(follower.follow())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_READ_S):
                await follower.has_read.wait()
        yield ended
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

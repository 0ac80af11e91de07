"""Each process knows which access tokens are over, whatever happens to Postgres."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from services.common.context import Caller, Role
from services.common.ended_tokens import EndedTokens, following_ended_tokens
from stack.ports import free_port

ALICE = Caller(7, "alice", Role.USER, session_id=str(uuid4()), generation=3)
HOUR = "now() + interval '1 hour'"


async def until_included(ended: EndedTokens, caller: Caller) -> None:
    """Return when that process knows that the caller's token is over."""
    async with asyncio.timeout(20):
        while not ended.include(caller):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def end_generation(postgres: asyncpg.Pool, user_id: int, below: int) -> None:
    """Write down what auth writes down."""
    await postgres.execute(
        f"INSERT INTO ended_generations (user_id, below, expires_at) VALUES ($1, $2, {HOUR})",
        user_id,
        below,
    )


async def test_every_process_is_told(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """Of generations before the one named, and of sessions; of nobody else."""
    async with (
        following_ended_tokens(postgres_dsn) as one,
        following_ended_tokens(postgres_dsn) as other,
    ):
        await end_generation(postgres, 7, 4)
        for ended in (one, other):
            await until_included(ended, ALICE)
            assert not ended.include(Caller(7, "alice", Role.USER, generation=4))
            assert not ended.include(Caller(8, "bob", Role.USER))
        session_id = str(uuid4())
        await postgres.execute(
            f"INSERT INTO ended_sessions (session_id, expires_at) VALUES ($1, {HOUR})", session_id
        )
        await until_included(one, Caller(8, "bob", Role.USER, session_id))


async def test_process_knows_what_was_before_it(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """From its first call on, without being told."""
    await end_generation(postgres, 7, 4)
    async with following_ended_tokens(postgres_dsn) as ended:
        assert ended.include(ALICE)


async def test_process_follows_again_when_its_connection_was_cut(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Cut by Postgres or on the way; what happened meanwhile is made up for."""
    async with following_ended_tokens(postgres_dsn) as ended:
        await postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%' OR query LIKE '%ended_generations%' "
            "AND pid <> pg_backend_pid() AND datname = current_database()"
        )
        await end_generation(postgres, 7, 4)
        await until_included(ended, ALICE)


async def test_process_serves_when_postgres_is_not_there() -> None:
    """It begins with nothing: a token is taken as it says."""
    dsn = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    async with following_ended_tokens(dsn) as ended:
        assert not ended.include(ALICE)


def test_what_has_expired_is_forgotten() -> None:
    """The memory is that of the tokens' life, not of all time."""
    ended = EndedTokens()
    ended.end_generation(7, 4, expires_at=100.0)
    ended.end_session(ALICE.session_id, expires_at=200.0)
    ended.forget_expired(150.0)
    assert ended.include(ALICE)
    ended.forget_expired(250.0)
    assert not ended.include(ALICE)


@pytest.mark.parametrize("first", [4, 2])
def test_generations_only_go_up(first: int) -> None:
    """An older word that comes late changes nothing."""
    ended = EndedTokens()
    for below in (first, 6 - first):
        ended.end_generation(7, below, expires_at=100.0)
    assert ended.include(ALICE)

"""The admin service's own token, from an auth service that comes and goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from services.admin.service_token import ServiceToken
from tests.support.admin import SECRET, FakeAuth, auth_server


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def a_token(auth: FakeAuth, clock: Clock) -> AsyncIterator[ServiceToken]:
    async with auth_server(auth) as address, grpc.aio.insecure_channel(address) as channel:
        yield ServiceToken(channel, "admin", SECRET, clock)


@pytest.fixture
def auth() -> FakeAuth:
    """An auth service whose tokens live for 100 s."""
    fake = FakeAuth()  # type: ignore[abstract]  # the methods that are called
    fake.expires_in = 100
    return fake


async def test_token_is_shared_by_calls_at_once(auth: FakeAuth) -> None:
    """Many callers that find none ask auth once."""
    async with a_token(auth, Clock()) as token:
        given = await asyncio.gather(*(token.current() for _ in range(20)))
    assert (len(set(given)), auth.service_tokens) == (1, 1)


@pytest.mark.parametrize(("age_s", "issued"), [(79, 1), (80, 2), (200, 2)])
async def test_token_is_renewed_at_four_fifths_of_its_life(
    auth: FakeAuth, age_s: int, issued: int
) -> None:
    """There is time to try again before it expires."""
    clock = Clock()
    async with a_token(auth, clock) as token:
        await token.current()
        clock.now = age_s
        await token.current()
    assert issued == auth.service_tokens


async def test_token_serves_on_when_auth_is_away(auth: FakeAuth) -> None:
    """A token that is still good outlives a failed renewal; an expired one does not."""
    clock = Clock()
    async with auth_server(auth) as address:
        channel = grpc.aio.insecure_channel(address)
        token = ServiceToken(channel, "admin", SECRET, clock)
        first = await token.current()
    clock.now = 99
    assert first == await token.current()
    clock.now = 100
    with pytest.raises(grpc.aio.AioRpcError):
        await token.current()
    await channel.close(None)

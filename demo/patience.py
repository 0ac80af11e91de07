"""Repeating what may be repeated: a part that is down, busy or restarting comes back."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

import aiohttp

from services.common.outages import is_outage

Answer = TypeVar("Answer")

PATIENCE_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_PASSING_STATUSES = frozenset({502, 503, 504})


class EdgeError(Exception):
    """
    The edge answered with a failure.

    Args:
        status: Of HTTP.
        reason: Of error_reason.proto, without its prefix.
        message: For people.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


def passes(error: Exception) -> bool:
    """Whether the same call may succeed later."""
    if isinstance(error, EdgeError):
        return error.status in _PASSING_STATUSES or error.reason == "RATE_LIMITED"
    return isinstance(error, aiohttp.ClientError) or is_outage(error)


async def patiently(
    call: Callable[[], Awaitable[Answer]], patience_s: float = PATIENCE_S
) -> Answer:
    """
    The answer of *call*, repeated while its failures pass; the last one is raised after
    *patience_s*. *call* must be idempotent, and bounded itself.
    """
    loop = asyncio.get_running_loop()
    give_up_at, pause_s = loop.time() + patience_s, _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except Exception as error:
            if not passes(error) or loop.time() > give_up_at:
                raise
        # Spread out, so that those whom one failure hit do not all come back at once.
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class Asked(NamedTuple, Generic[Answer]):
    """An answer, the attempts that it took, and the seconds from the first of them to it."""

    answer: Answer
    attempts: int
    seconds: float


async def asked(call: Callable[[], Awaitable[Answer]]) -> Asked[Answer]:
    """The answer of *call*, as patiently() gets it, and what it took."""
    attempts, started = 0, time.perf_counter()

    async def attempt() -> Answer:
        nonlocal attempts
        attempts += 1
        return await call()

    answer = await patiently(attempt)
    return Asked(answer, attempts, time.perf_counter() - started)

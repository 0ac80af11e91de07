"""What a process needs in order to be ready: it is looked at, and what flickers is waited out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Never

from services.common.outages import told
from services.common.server.health import Health
from services.common.tasks import end_if_cancelled, pause, stray_cancellation, until_beat

Look = Callable[[], Awaitable[object]]

_EVERY_S = 1.0  # each look wakes processes that may have nothing else to do
_IN_DOUBT_EVERY_S = 0.5
_BOUND_S = 1.0
_HEAD_START_S = 0.25
_LOST_AFTER_S = 2.0
_BACK_AFTER_S = 1.0


class Steadiness:
    """
    Whether something is there, by what was seen of it: it has to be gone for a while to be lost,
    and there for a while to be back. The first sight counts at once.
    """

    def __init__(self) -> None:
        self.is_there: bool | None = None
        self._otherwise_since: float | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether what was seen last is not what counts."""
        return self._otherwise_since is not None

    def see(self, there: bool, since: float, now: float) -> None:
        """
        Take in a look.

        Args:
            there: What it found.
            since: When it began, seconds of a clock that only goes forward.
            now: When it ended.
        """
        if self.is_there is None:
            self.is_there = there
        if there == self.is_there:
            self._otherwise_since = None
            return
        if self._otherwise_since is None:
            self._otherwise_since = since
        if now - self._otherwise_since >= (_BACK_AFTER_S if there else _LOST_AFTER_S):
            self.is_there, self._otherwise_since = there, None


@asynccontextmanager
async def watching_needs(health: Health, needs: Mapping[str, Look]) -> AsyncIterator[None]:
    """
    Say in *health* which of *needs* are lacking, until this is left; it begins with a look at each.

    Args:
        needs: By name, a look at it, which raises where it is not there.
    """
    watched = [_Need(health, *need) for need in needs.items()]
    await asyncio.gather(*(need.look_again() for need in watched))
    async with asyncio.TaskGroup() as tasks:
        watches = [tasks.create_task(need.watch()) for need in watched]
        yield
        for watch in watches:
            watch.cancel()


class _Need:
    def __init__(self, health: Health, name: str, look: Look) -> None:
        self._health = health
        self._name = name
        self._look = look
        self._steadiness = Steadiness()

    async def watch(self) -> Never:
        while True:
            is_in_doubt = self._steadiness.is_in_doubt
            await pause(until_beat(_IN_DOUBT_EVERY_S if is_in_doubt else _EVERY_S))
            await self.look_again()

    async def look_again(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        why = await _failure_of(self._look)
        self._steadiness.see(not why, since, loop.time())
        if self._steadiness.is_there:
            self._health.have(self._name)
        else:
            self._health.lack(self._name, why)


async def _failure_of(look: Look) -> str:
    """Why *look* found nothing; empty: it found it."""
    try:
        async with asyncio.timeout(_BOUND_S):
            await look()
    except asyncio.CancelledError:
        return told(stray_cancellation())
    except Exception as error:  # noqa: BLE001  # whatever it is, what is needed cannot be used
        return told(error) or type(error).__name__
    end_if_cancelled()
    return ""


def either(*looks: Look) -> Look:
    """A look that finds something where one of *looks* does; they are asked one after another."""

    async def look() -> None:
        looking: list[asyncio.Future[str]] = []
        try:
            for each in looks:  # one that hangs keeps no other back
                looking.append(asyncio.ensure_future(_failure_of(each)))
                done, _ = await asyncio.wait(looking[-1:], timeout=_HEAD_START_S)
                if any(not one.result() for one in done):
                    return
            failures = []
            for failure in asyncio.as_completed(looking):
                failures.append(await failure)
                if not failures[-1]:
                    return
            raise ConnectionError("; ".join(failures))
        finally:
            for one in looking:
                one.cancel()

    return look

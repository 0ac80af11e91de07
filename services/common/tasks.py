"""Work without end: it survives whatever its rounds raise, and really ends when it is cancelled."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Never, TypeVar

import structlog

from services.common.metrics import FAILED_ROUNDS, INTERRUPTED
from services.common.outages import is_outage, told

log = structlog.get_logger()

_FIRST_PAUSE_S = 0.1
_DOUBLINGS = 16  # beyond any longest pause
_BEAT_FROM_S = time.monotonic()

Result = TypeVar("Result")


class FailureKind(StrEnum):
    """Why a round failed."""

    OUTAGE = "outage"
    DEFECT = "defect"


# A part that is back is used again within seconds; a defect comes back as it was.
_LONGEST_PAUSE_S = {FailureKind.OUTAGE: 5.0, FailureKind.DEFECT: 30.0}


def end_if_cancelled() -> None:
    """
    CancelledError where this task was told to end, and something on the way kept that to itself.

    asyncio.wait_for does so in Python 3.11, when what it waits for completes at the same moment;
    clients of Redis and Postgres use it. A loop without end would go on, and whoever cancelled it
    wait for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def stray_cancellation() -> OSError:
    """
    What to take a CancelledError for that this task has caught, but that was not meant for it:
    something that it waited for was cancelled. It is raised on where this task is to end.
    """
    end_if_cancelled()
    return ConnectionAbortedError("what it waited for was cancelled")


async def outcome_of(work: Awaitable[Result]) -> Result | Exception:
    """What *work* gives or raises, a stray cancellation included."""
    try:
        return await work
    except asyncio.CancelledError:
        return stray_cancellation()
    except Exception as error:  # noqa: BLE001  # it is for others
        return error


def until_beat(every_s: float) -> float:
    """
    How many seconds there are until the next turn of something that comes about every *every_s*.

    What has the same pause has its turns together: a process that has nothing else to do then wakes
    once for all of it. Each process has a beat of its own, or all would wake at once.
    """
    rest_s = every_s - (time.monotonic() - _BEAT_FROM_S) % every_s
    return rest_s if rest_s > every_s / 2 else rest_s + every_s


async def pause(delay_s: float) -> None:
    """Sleep between two rounds of a loop without end; ends it once it is cancelled."""
    end_if_cancelled()
    await asyncio.sleep(delay_s)


class Trouble:
    """
    What stands in the way of one piece of work without end.

    It is logged when it begins, when it becomes another, and when it is over; in between it is only
    counted. A defect is logged in full. Neither ends the process: what would be served by that?

    Args:
        work: Its name in logs and metrics.
    """

    def __init__(self, work: str) -> None:
        self._work = work
        self._known = ""
        self._rounds = 0
        self._since = 0.0
        INTERRUPTED.labels(work).set(0)
        for kind in FailureKind:  # from nought on: the first one is a rise, too
            FAILED_ROUNDS.labels(work, kind)

    async def survived(self, round_: Awaitable[object]) -> float:
        """
        Await *round_*.

        Returns:
            How many seconds to wait before the next one: 0 when it came to its end; after failures
            longer each time, up to a bound.
        """
        try:
            await round_
        except asyncio.CancelledError:
            return self.met(stray_cancellation())
        except Exception as error:  # noqa: BLE001  # it is told, and the next round comes
            return self.met(error)
        self.over()
        return 0.0

    def met(self, error: Exception) -> float:
        """Note that a round failed; see survived()."""
        kind = FailureKind.OUTAGE if is_outage(error) else FailureKind.DEFECT
        FAILED_ROUNDS.labels(self._work, kind).inc()
        known = kind if kind is FailureKind.OUTAGE else told(error)
        if known != self._known:
            self._begin(kind, known, error)
        self._rounds += 1
        doubled_s = _FIRST_PAUSE_S * (1 << min(self._rounds - 1, _DOUBLINGS))
        return min(doubled_s, _LONGEST_PAUSE_S[kind])

    def _begin(self, kind: FailureKind, known: str, error: Exception) -> None:
        if not self._known:
            self._since = time.monotonic()
        self._known, self._rounds = known, 0
        INTERRUPTED.labels(self._work).set(1)
        if kind is FailureKind.OUTAGE:
            log.warning("interrupted, waiting", work=self._work, error=told(error))
        else:
            log.error("interrupted by a defect, trying again", work=self._work, exc_info=error)

    def over(self) -> None:
        """Note that the work goes well."""
        if self._known:
            after_s = round(time.monotonic() - self._since, 1)
            log.warning("goes on", work=self._work, after_s=after_s)
            INTERRUPTED.labels(self._work).set(0)
        self._known, self._rounds = "", 0


async def repeat(
    work: str,
    round_: Callable[[], Awaitable[object]],
    every_s: float,
    bound_s: float = 60.0,
    due: Callable[[], Awaitable[object]] | None = None,
) -> Never:
    """
    Do *round_* every so often until cancelled, whatever it raises.

    Args:
        work: Its name in logs and metrics.
        every_s: Pause after a round that came to its end, up to half of it longer or shorter: what
            pauses for equally long goes together.
        bound_s: A round that takes longer counts as an outage.
        due: Returns once there is something to do; None: there always may be.
    """
    trouble = Trouble(work)
    while True:
        if due is not None:
            await due()
        pause_s = await trouble.survived(_bounded(round_, bound_s))
        await pause(pause_s or (until_beat(every_s) if every_s else 0.0))


async def insist(
    work: str, attempt: Callable[[], Awaitable[Result]], bound_s: float = 60.0
) -> Result:
    """The result of *attempt*, which is made until no outage stands in its way; its defects."""
    trouble = Trouble(work)
    while True:
        try:
            result = await _bounded(attempt, bound_s)
        except asyncio.CancelledError:
            await pause(trouble.met(stray_cancellation()))
        except Exception as error:
            if not is_outage(error):
                raise
            await pause(trouble.met(error))
        else:
            trouble.over()
            return result


async def _bounded(work: Callable[[], Awaitable[Result]], bound_s: float) -> Result:
    async with asyncio.timeout(bound_s):
        return await work()

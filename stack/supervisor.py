"""Owns the running parts: starts them in order, heals those that die, stops them in reverse."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stack.parts import Part
from stack.processes import Child, StackError, stop

Report = Callable[[str], None]

_STOP_TIMEOUT_S = 10.0
_PROBE_TIMEOUT_S = 5.0
_PROBE_EVERY_S = 0.1
_SAY_AGAIN_S = 60.0


@dataclass(frozen=True)
class Pauses:
    """
    How long a dead part rests before it is started again.

    Args:
        first_s: The first time.
        factor: How many times longer each further pause is.
        longest_s: The longest.
        steady_s: A part that was ready for so long has recovered: the next pause is a first one.
    """

    first_s: float = 0.1
    factor: float = 3.0
    longest_s: float = 5.0
    steady_s: float = 30.0

    def before(self, start: int) -> float:
        """The pause before start *start*, counted from 1, of a part that dies and dies."""
        return min(self.longest_s, self.first_s * self.factor ** max(0, min(start - 1, 30)))


class Supervisor:
    """
    The running parts, in groups that start together.

    Args:
        report: Gets one line for each thing worth knowing.
        on_change: Gets the process ids by name whenever a process was started; where it raises
            OSError it gets them again a moment later.
        pauses: Between the death of a part and its next start.
    """

    def __init__(
        self,
        report: Report,
        on_change: Callable[[dict[str, int]], None],
        pauses: Pauses | None = None,
    ) -> None:
        self._report = report
        self._on_change = on_change
        self._pauses = pauses or Pauses()
        self._groups: list[list[_Kept]] = []
        self._untold = asyncio.Event()

    async def start(self, *groups: Sequence[Part]) -> None:
        """
        Start all parts of *groups* at once; return when each is ready.

        Raises:
            StackError: One of them failed.
        """
        started: list[_Kept] = []
        for group in groups:
            # Kept at once: should the next one fail to start, this one is still stopped.
            self._groups.append(kept := [])
            for part in group:
                await self._mend(part)
                kept.append(_Kept(part, Child(part.program)))
                started.append(kept[-1])
        self._tell()
        await run_together(self._wait_until_ready(kept) for kept in started)

    async def _mend(self, part: Part, has_failed: bool = False) -> bool:
        if part.mend is None:
            return False
        if mended := await asyncio.to_thread(part.mend, has_failed):
            self._report(f"! {mended}")
        return bool(mended)

    async def _wait_until_ready(self, kept: "_Kept") -> None:
        started = time.monotonic()
        try:
            await kept.child.wait_until_ready(kept.part.is_ready)
        except StackError:
            if kept.child.exit_code() is None or not await self._mend(kept.part, has_failed=True):
                raise
            kept.child.restart()
            self._tell()
            await kept.child.wait_until_ready(kept.part.is_ready)
        self._report(f"✓ {kept.name:<9} {time.monotonic() - started:5.1f} s")

    async def keep(self) -> None:
        """Restart whatever dies, for ever and for as long as it takes."""
        keepers = [
            _Keeper(kept, self._pauses, self._report, self._mend, self._tell).keep()
            for group in self._groups
            for kept in group
        ]
        await run_together([*keepers, self._tell_until_told()])

    def _tell(self) -> None:
        try:
            self._on_change({kept.name: kept.child.pid for group in self._groups for kept in group})
        except OSError:
            self._untold.set()

    async def _tell_until_told(self) -> None:
        while True:
            await self._untold.wait()
            self._untold.clear()
            await asyncio.sleep(1)
            self._tell()

    def stop(self) -> None:
        """Stop everything, the last group first."""
        while self._groups:
            stop([kept.child for kept in self._groups.pop()], _STOP_TIMEOUT_S)


@dataclass
class _Kept:
    part: Part
    child: Child

    @property
    def name(self) -> str:
        return self.part.program.name


class _Keeper:
    """Keeps one part running, whatever happens to it or to the others."""

    def __init__(
        self,
        kept: _Kept,
        pauses: Pauses,
        report: Report,
        mend: Callable[[Part, bool], Coroutine[Any, Any, bool]],
        tell: Callable[[], None],
    ) -> None:
        self._kept = kept
        self._pauses = pauses
        self._report = report
        self._mend = mend
        self._tell = tell
        self._deaths = 0
        self._said_at = float("-inf")
        self._is_quiet = False

    async def keep(self) -> None:
        """Start it again whenever it has ended."""
        while True:
            ready_at = time.monotonic()
            why = f"died (code {await self._kept.child.wait()})"
            gone_since = time.monotonic()
            if gone_since - ready_at > self._pauses.steady_s:
                self._deaths = 0
            while why := await self._start_again(why):
                pass
            if not self._is_quiet:
                gone_s = time.monotonic() - gone_since
                self._report(f"✓ {self._kept.name} is back after {gone_s:.1f} s")

    async def _start_again(self, why: str) -> str:
        """Start it, and wait until it is ready; else say why it is not. *why*: why it is gone."""
        self._deaths += 1
        self._say(why)
        await asyncio.sleep(self._pauses.before(self._deaths))
        try:
            await self._mend(self._kept.part, self._deaths > 1)
            self._kept.child.restart()
        except (OSError, StackError) as error:
            return f"cannot be started: {error}"
        self._tell()
        while self._kept.child.exit_code() is None:
            if await _is_ready(self._kept.part):
                return ""
            await asyncio.sleep(_PROBE_EVERY_S)
        return f"died (code {self._kept.child.exit_code()})"

    def _say(self, why: str) -> None:
        # What dies for hours is no news each time.
        is_old = self._pauses.before(self._deaths - 1) == self._pauses.longest_s
        self._is_quiet = is_old and time.monotonic() - self._said_at < _SAY_AGAIN_S
        if self._is_quiet:
            return
        self._said_at = time.monotonic()
        times = "" if self._deaths == 1 else f", {self._deaths} times so far"
        self._report(
            f"! {self._kept.name} {why}{times}; starting it in "
            f"{self._pauses.before(self._deaths):.1f} s; see {self._kept.part.program.log}"
        )


async def _is_ready(part: Part) -> bool:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            return await part.is_ready()
    except Exception:  # noqa: BLE001  # whatever a part in trouble says, it is not ready
        return False


async def run_together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all of *work*; the first failure ends the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None

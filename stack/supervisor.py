"""Owns the running parts: starts them in order, heals those that die, stops them in reverse."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from stack.parts import Part
from stack.processes import Child, StackError, stop

Report = Callable[[str], None]

_DEATHS_TO_GIVE_UP = 5
_DEATHS_WITHIN_S = 30.0
_STOP_TIMEOUT_S = 10.0


class Supervisor:
    """
    The running parts, in groups that start together.

    Args:
        report: Gets one line for each thing worth knowing.
        on_change: Gets the process ids by name whenever a process was started.
        first_delay_s: Wait before the first restart of a part; each further one waits longer.
    """

    def __init__(
        self,
        report: Report,
        on_change: Callable[[dict[str, int]], None],
        first_delay_s: float = 0.1,
    ) -> None:
        self._report = report
        self._on_change = on_change
        self._first_delay_s = first_delay_s
        self._groups: list[list[Child]] = []

    async def start(self, *groups: Sequence[Part]) -> None:
        """
        Start all parts of *groups* at once; return when each is ready.

        Raises:
            StackError: One of them failed.
        """
        started = [(part, self._spawn(part, kept)) for part, kept in self._with_kept(groups)]
        self._changed()
        await run_together(self._wait_until_ready(child, part) for part, child in started)

    def _with_kept(self, groups: Sequence[Sequence[Part]]) -> Iterable[tuple[Part, list[Child]]]:
        for group in groups:
            self._groups.append([])
            yield from ((part, self._groups[-1]) for part in group)

    def _spawn(self, part: Part, kept: list[Child]) -> Child:
        # Kept at once: should the next one fail to start, this one is still stopped.
        kept.append(child := Child(part.program))
        return child

    async def _wait_until_ready(self, child: Child, part: Part) -> None:
        started = time.monotonic()
        await child.wait_until_ready(part.is_ready)
        self._report(f"[green]✓[/] {part.program.name:<9} {time.monotonic() - started:5.1f} s")

    async def keep(self) -> None:
        """
        Restart whatever dies, for ever.

        Raises:
            StackError: A part dies again and again.
        """
        await run_together(self._keep(child) for group in self._groups for child in group)

    async def _keep(self, child: Child) -> None:
        deaths: deque[float] = deque()
        name = child.program.name
        while True:
            code = await child.wait()
            now = time.monotonic()
            deaths.append(now)
            while deaths[0] < now - _DEATHS_WITHIN_S:
                deaths.popleft()
            if len(deaths) >= _DEATHS_TO_GIVE_UP:
                raise StackError(
                    f"{name} died {len(deaths)} times within {_DEATHS_WITHIN_S:.0f} s, "
                    f"now with code {code}{child.log_end()}"
                )
            delay_s = self._first_delay_s * 3 ** (len(deaths) - 1)
            self._report(f"[yellow]![/] {name} died (code {code}); starting it in {delay_s:.1f} s")
            await asyncio.sleep(delay_s)
            child.restart()
            self._changed()

    def _changed(self) -> None:
        self._on_change(
            {child.program.name: child.pid for group in self._groups for child in group}
        )

    def stop(self) -> None:
        """Stop everything, the last group first."""
        while self._groups:
            stop(self._groups.pop(), _STOP_TIMEOUT_S)


async def run_together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all of *work*; the first failure ends the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None

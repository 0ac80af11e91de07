"""Gives each call its number when it is due."""

import asyncio
import time

from ops.ghz.notation import NS_PER_S
from ops.ghz.pacing import ConstantPacer, Pacer


class Dispenser:
    """Numbers 0, 1, 2, … up to *total*, paced by *pacer* from the moment it is made."""

    def __init__(self, pacer: Pacer, total: int) -> None:
        self.taken = 0
        self._pacer, self._total = pacer, total
        self._is_paced = pacer != ConstantPacer(0)
        self._turn = asyncio.Lock()
        self._pause: asyncio.Future[None] | None = None
        self._began_ns = time.perf_counter_ns()

    @property
    def is_over(self) -> bool:
        """Whether there is no further number."""
        return self.taken >= self._total

    def stop(self) -> None:
        """No number from now on; who waits for one gets none."""
        self._total = 0
        self._wake()

    async def next(self) -> int | None:
        """The next number when it is due; None: it was the last."""
        if not self._is_paced:
            return self._take()
        async with self._turn:
            elapsed_ns = time.perf_counter_ns() - self._began_ns
            wait_ns = 0 if self.is_over else self._pacer.wait_ns(elapsed_ns, self.taken)
            if wait_ns > 0:
                await self._wait(wait_ns / NS_PER_S)
            return self._take()

    def _take(self) -> int | None:
        if self.is_over:
            return None
        self.taken += 1
        return self.taken - 1

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._pause = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._pause
        finally:
            timer.cancel()

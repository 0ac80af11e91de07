"""An honest client beside the strangers: it draws, reads and logs in; how long that takes."""

import asyncio
import itertools
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.hostile.target import Target
from tests.support.edge import caller, register

_PAUSE_S = 0.2  # of one that plays; what strangers do is what the machine is for
KINDS = ("draw", "read", "log in")
_names = itertools.count(1)


class Honest:
    """
    The client.

    Attributes:
        took_s: By phase and kind of call: how long each call took.
        refused: What it was told instead of an answer.
    """

    def __init__(self, http: httpx.AsyncClient, token: str, activity_id: int) -> None:
        self._http = http
        self._token = token
        self._activity_id = activity_id
        self._phase = ""
        self.took_s: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.refused: list[str] = []

    def enter(self, phase: str) -> None:
        """From now on it is *phase*."""
        self._phase = phase

    async def goes_through(self, phase: str, calls: int) -> None:
        """Enter *phase*; return once so many calls of each kind were made in it."""
        self.enter(phase)
        while any(len(self.took_s[phase, kind]) < calls for kind in KINDS):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE_S)

    def sentence(self) -> str:
        """Its 99th percentiles, for people."""
        return "; ".join(
            f"{phase}: {kind} {_p99(took) * 1000:.0f} ms"
            for (phase, kind), took in sorted(self.took_s.items())
        )

    async def keep_calling(self) -> None:
        """Call until cancelled."""
        me = caller(self._http, self._token)
        credentials = {"username": f"honest-{next(_names)}", "password": "correct horse"}
        await self._http.post("/api/auth/register", json=credentials)

        async def draw() -> None:
            body = {"activity_id": self._activity_id, "request_id": f"honest-{next(_names)}"}
            await me("POST", "/api/lottery/draw", json=body)

        async def read() -> None:
            await me("GET", "/api/lottery/global-history")

        async def log_in() -> None:
            await me("POST", "/api/auth/login", json=credentials)

        async with asyncio.TaskGroup() as calling:
            for kind, call in (("draw", draw), ("read", read), ("log in", log_in)):
                calling.create_task(self._repeat(kind, call))

    async def _repeat(self, kind: str, call: Callable[[], Awaitable[Any]]) -> None:
        while True:
            phase, start = self._phase, time.monotonic()
            try:
                await call()
            except (AssertionError, httpx.HTTPError) as error:
                self.refused.append(f"{phase}, {kind}: {error!r}")
            self.took_s[phase, kind].append(time.monotonic() - start)
            await asyncio.sleep(_PAUSE_S)


@asynccontextmanager
async def honest_client(target: Target) -> AsyncIterator[Honest]:
    """One that calls as long as the block lasts, over connections of its own."""
    async with httpx.AsyncClient(base_url=target.stack.edge, timeout=20) as http:
        token = (await register(http))["access_token"]
        honest = Honest(http, token, target.activity_id)
        calling = asyncio.ensure_future(honest.keep_calling())
        try:
            yield honest
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)


def _p99(took_s: list[float]) -> float:
    return sorted(took_s)[max(0, int(len(took_s) * 0.99) - 1)] if took_s else 0.0

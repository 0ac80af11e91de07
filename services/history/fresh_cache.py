"""A cache with a hard bound on age, where one load serves all who ask at the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from cachetools import LRUCache
from prometheus_client import Counter

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

REQUESTS = Counter(
    "kuji_cache_requests",
    "Reads through a cache: hit, shared (with a load under way), load",
    ["cache", "result"],
)


class _Kept(NamedTuple, Generic[V]):
    value: V
    loaded_at: float
    generation: int


class _Flight(NamedTuple, Generic[V]):
    task: asyncio.Task[V]
    generation: int


class FreshCache(Generic[K, V]):
    """
    Values that are at most *max_age_s* old, and never from before the last invalidate().

    Args:
        name: For the metric.
        load: Loads the value of a key.
        max_age_s: Counted from the start of the load.
        max_entries: Values kept; the least recently used goes first.
        timeout_s: Bound of one load.
        now: Monotonic clock, seconds.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[K], Awaitable[V]],
        max_age_s: float = 1.0,
        max_entries: int = 1024,
        timeout_s: float = 5.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        results = ("hit", "shared", "load")
        self._hits, self._shared, self._loads = (REQUESTS.labels(name, one) for one in results)
        self._max_age_s = max_age_s
        self._timeout_s = timeout_s
        self._now = now
        self._kept: LRUCache[K, _Kept[V]] = LRUCache(max_entries)
        self._flights: dict[K, _Flight[V]] = {}
        self._generation = 0

    def invalidate(self) -> None:
        """From now on, serve nothing that was loaded, or began to load, before."""
        self._generation += 1

    async def get(self, key: K) -> V:
        """
        The value of *key*; what the load raises.

        Of one key one load is in flight, however many ask. A caller that goes away does not
        stop it.
        """
        asked = self._generation
        counted = self._shared
        while True:
            kept = self._kept.get(key)
            if kept is not None and self._is_fresh(kept):
                self._hits.inc()
                return kept.value
            flight = self._flights.get(key)
            if flight is None:
                flight, counted = self._take_off(key), self._loads
            if flight.generation >= asked:
                counted.inc()
                return await asyncio.shield(flight.task)
            await asyncio.wait([flight.task])  # too old for this caller

    async def aclose(self) -> None:
        """Stop what is in flight."""
        tasks = [flight.task for flight in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _is_fresh(self, kept: _Kept[V]) -> bool:
        age_s = self._now() - kept.loaded_at
        return kept.generation == self._generation and age_s < self._max_age_s

    def _take_off(self, key: K) -> _Flight[V]:
        task = asyncio.create_task(self._fly(key, self._generation))
        # All its callers may be gone when it fails; then nobody is to be told.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        flight = self._flights[key] = _Flight(task, self._generation)
        return flight

    async def _fly(self, key: K, generation: int) -> V:
        loaded_at = self._now()
        try:
            async with asyncio.timeout(self._timeout_s):
                value = await self._load(key)
            self._kept[key] = _Kept(value, loaded_at, generation)
            return value
        finally:
            del self._flights[key]

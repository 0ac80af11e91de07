"""The cache of public pages: bounded in age, one load in flight."""

import asyncio

import pytest

from services.history.fresh_cache import FreshCache


class Source:
    """Loads numbers 1, 2, 3, …, each when the test lets it."""

    def __init__(self) -> None:
        self.started = 0
        self.now_s = 100.0
        self.gate = asyncio.Semaphore(0)
        self.failing = False

    async def load(self, _: str) -> int:
        """The number of this load."""
        self.started += 1
        number = self.started
        await self.gate.acquire()
        if self.failing:
            raise ConnectionError
        return number

    def cache(self, max_entries: int = 10) -> FreshCache[str, int]:
        """A cache before this source, one second of age."""
        return FreshCache("test", self.load, 1.0, max_entries, 5.0, lambda: self.now_s)


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_load_serves_all_who_ask_at_once() -> None:
    """A thousand callers cost one load."""
    source = Source()
    cache = source.cache()
    callers = [asyncio.create_task(cache.get("page")) for _ in range(1000)]
    await settle()
    source.gate.release()
    assert [1] * 1000 == await asyncio.gather(*callers)
    assert 1 == source.started


@pytest.mark.parametrize(("age_s", "expected"), [(0.999, 1), (1.0, 2)])
async def test_value_is_served_until_it_is_too_old(age_s: float, expected: int) -> None:
    """Within the bound it costs nothing; at the bound it is loaded again."""
    source = Source()
    cache = source.cache()
    source.gate.release()
    await cache.get("page")
    source.now_s += age_s
    source.gate.release()
    assert expected == await cache.get("page")


async def test_age_counts_from_the_start_of_the_load() -> None:
    """What took a second to load is as old as that when it arrives."""
    source = Source()
    cache = source.cache()
    caller = asyncio.create_task(cache.get("page"))
    await settle()
    source.now_s += 1.0
    source.gate.release()
    assert 1 == await caller
    source.gate.release()
    assert 2 == await cache.get("page")


async def test_nothing_from_before_is_served_after_invalidate() -> None:
    """After a nudge, the next caller sees the new winner."""
    source = Source()
    cache = source.cache()
    source.gate.release()
    await cache.get("page")
    cache.invalidate()
    source.gate.release()
    assert 2 == await cache.get("page")


async def test_caller_after_invalidate_does_not_join_an_older_load() -> None:
    """A load that began before the nudge may lack the winner; still only one is in flight."""
    source = Source()
    cache = source.cache()
    early = asyncio.create_task(cache.get("page"))
    await settle()
    cache.invalidate()
    late = [asyncio.create_task(cache.get("page")) for _ in range(10)]
    await settle()
    assert 1 == source.started
    source.gate.release()
    assert 1 == await early
    await settle()
    source.gate.release()
    assert [2] * 10 == await asyncio.gather(*late)
    assert 2 == source.started


async def test_load_goes_on_when_its_first_caller_leaves() -> None:
    """A caller whose deadline passes takes nothing from the others."""
    source = Source()
    cache = source.cache()
    first = asyncio.create_task(cache.get("page"))
    await settle()
    second = asyncio.create_task(cache.get("page"))
    first.cancel()
    await settle()
    source.gate.release()
    assert 1 == await second


async def test_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    """An outage is told, and over as soon as it is over."""
    source = Source()
    cache = source.cache()
    source.failing = True
    callers = [asyncio.create_task(cache.get("page")) for _ in range(3)]
    await settle()
    source.gate.release()
    failures = await asyncio.gather(*callers, return_exceptions=True)
    assert [ConnectionError] * 3 == [type(failure) for failure in failures]
    source.failing = False
    source.gate.release()
    assert 2 == await cache.get("page")


async def test_pages_kept_are_bounded() -> None:
    """The least recently used page goes first."""
    source = Source()
    cache = source.cache(max_entries=2)
    for page in ("a", "b", "c"):
        source.gate.release()
        await cache.get(page)
    source.gate.release()
    assert [2, 3, 4] == [await cache.get(page) for page in ("b", "c", "a")]


async def test_close_ends_what_is_in_flight() -> None:
    """No load outlives its cache."""
    source = Source()
    cache = source.cache()
    caller = asyncio.create_task(cache.get("page"))
    await settle()
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller

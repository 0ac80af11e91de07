"""Turns at hashing: who waits for whom."""

import asyncio
from collections.abc import Callable

import pytest

from services.auth.lanes import Lane, Lanes
from services.common.errors import OverloadedError


async def settled() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


class Visitors:
    """Callers of lanes, and the order in which they had their turns."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, kind: str, network: str, account: str = "x") -> None:
        """Let one come, who leaves nothing until told."""

        async def visit() -> None:
            await self._lanes.enter(Lane(kind, network, account))
            self.order.append(name)

        self.tasks[name] = asyncio.create_task(visit())
        await settled()

    async def leave(self, times: int = 1) -> None:
        """End as many turns."""
        for _ in range(times):
            self._lanes.leave()
            await settled()


@pytest.fixture
def visitors_of() -> Callable[[int, int], Visitors]:
    """Visitors of lanes with so many turns at once and places of each kind."""
    return lambda at_once, places: Visitors(Lanes(at_once, places))


async def test_turn_is_had_at_once_while_one_is_free(
    visitors_of: Callable[[int, int], Visitors],
) -> None:
    """As many at once as there are; the next one waits."""
    visitors = visitors_of(2, 10)
    for name in "abc":
        await visitors.come(name, "login", name)
    assert visitors.order == ["a", "b"]
    await visitors.leave()
    assert visitors.order == ["a", "b", "c"]


async def test_flood_waits_for_itself(visitors_of: Callable[[int, int], Visitors]) -> None:
    """Behind 64 of one network, another's is next; and so is another kind's of the same network."""
    visitors = visitors_of(1, 512)
    for number in range(64):
        await visitors.come(f"flood {number}", "unknown", "192.0.2.1", f"account {number}")
    await visitors.come("neighbour", "unknown", "198.51.100.7")
    await visitors.come("owner", "known", "192.0.2.1")
    await visitors.leave(4)
    assert {"neighbour", "owner"} <= set(visitors.order[:5])


async def test_crowd_loses_its_newest_when_all_places_are_taken(
    visitors_of: Callable[[int, int], Visitors],
) -> None:
    """Whoever fills the places gives way to others: OVERLOADED for its own last one."""
    visitors = visitors_of(1, 3)
    for name in ("runs", "1", "2", "3"):
        await visitors.come(name, "unknown", "crowd", name)
    await visitors.come("other", "unknown", "elsewhere")
    with pytest.raises(OverloadedError):
        await visitors.tasks["3"]
    await visitors.leave(3)
    assert set(visitors.order) == {"runs", "1", "2", "other"}


async def test_newcomer_is_refused_when_its_own_network_has_most_places(
    visitors_of: Callable[[int, int], Visitors],
) -> None:
    """A crowd cannot displace itself, nor one that is as large."""
    visitors = visitors_of(1, 2)
    for name in ("runs", "1", "2"):
        await visitors.come(name, "unknown", name)
    await visitors.come("refused", "unknown", "1")
    with pytest.raises(OverloadedError):
        await visitors.tasks["refused"]
    await visitors.leave(2)
    assert visitors.order == ["runs", "1", "2"]


async def test_kind_has_places_of_its_own(visitors_of: Callable[[int, int], Visitors]) -> None:
    """However many strangers wait, somebody known finds a place."""
    visitors = visitors_of(1, 1)
    for name in ("runs", "stranger"):
        await visitors.come(name, "unknown", name)
    await visitors.come("owner", "known", "home")
    await visitors.leave(2)
    assert set(visitors.order) == {"runs", "stranger", "owner"}


async def test_turn_goes_on_when_its_waiter_is_gone(
    visitors_of: Callable[[int, int], Visitors],
) -> None:
    """Also when it was given at the very moment of the cancellation: no turn is lost, none made."""
    visitors = visitors_of(1, 10)
    for name in ("runs", "gone", "last"):
        await visitors.come(name, "login", "home")
    visitors._lanes.leave()  # gives the turn; its waiter has not run yet
    visitors.tasks["gone"].cancel()
    await settled()
    assert visitors.order == ["runs", "last"]
    await visitors.come("waits", "login", "home")
    assert visitors.order == ["runs", "last"]
    await visitors.leave()
    assert visitors.order == ["runs", "last", "waits"]


async def test_waiter_takes_no_place_when_it_is_gone(
    visitors_of: Callable[[int, int], Visitors],
) -> None:
    """Clients that hang up leave room."""
    visitors = visitors_of(1, 1)
    for name in ("runs", "gone"):
        await visitors.come(name, "login", "home")
    visitors.tasks["gone"].cancel()
    await settled()
    await visitors.come("next", "login", "home")
    await visitors.leave()
    assert visitors.order == ["runs", "next"]


async def test_refused_waiter_gives_no_turn_away_when_it_is_gone_at_that_moment(
    visitors_of: Callable[[int, int], Visitors],
) -> None:
    """Displaced and cancelled at once: still one turn at a time."""
    visitors = visitors_of(1, 2)
    for name in ("runs", "1", "2"):
        await visitors.come(name, "unknown", "crowd", name)
    coming = asyncio.create_task(visitors._lanes.enter(Lane("unknown", "else", "x")))
    await asyncio.sleep(0)
    visitors.tasks["2"].cancel()
    await settled()
    assert visitors.order == ["runs"]
    assert not coming.done()
    coming.cancel()

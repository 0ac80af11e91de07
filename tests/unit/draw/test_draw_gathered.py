"""Draws for callers who came together: one call for a pool, and nobody waits for others."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.common.errors import ActivityNotFoundError, OverloadedError
from services.draw.code_key import CodeKey
from services.draw.lottery.gathered_drawer import Ask, GatheredDrawer
from services.draw.lottery.requests import WantedDraw
from services.draw.pools import Pool
from services.pool.rule import fairness
from services.pool.rule.terms import Answer, DrawCode, Drawing, Drawn, Intent

MISS = Answer(DrawCode.DRAWN, 1, 1, draws=[Drawn(0, 1, 1, 2, b"")])
REPLAYED = Answer(DrawCode.REPLAYED, 1, 1)


class House:
    """All that a GatheredDrawer asks: activities 1 and 2 with pools of these numbers."""

    def __init__(self, full_pool: int = 0) -> None:
        self.drawn: list[tuple[int, list[str]]] = []
        self.apart: list[str] = []
        self.read = asyncio.Event()
        self._full_pool = full_pool
        codes = CodeKey("5c" * 32)
        self._pools = {
            number: Pool(
                number, number, fairness.Roller(b"s" * 32, number), codes.of_pool(number), b""
            )
            for number in (1, 2)
        }

    def drawer(self, max_batch_draws: int = 10) -> GatheredDrawer:
        """The one under test."""
        pools = SimpleNamespace(at_hand=self._pools.get, at_hand_by_id=self._pools.get)
        guard = SimpleNamespace(check=lambda: None)
        users = SimpleNamespace(are_required=False)
        batcher = SimpleNamespace(draw=self.batch)
        make: Any = GatheredDrawer
        drawer: GatheredDrawer = make(self, pools, batcher, guard, users, max_batch_draws)
        return drawer

    async def batch(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """What the batcher answers: a request id that begins with r was drawn before."""
        self.drawn.append((pool_id, [intent.request_id for intent in intents]))
        if pool_id == self._full_pool:
            raise OverloadedError
        answers = [REPLAYED if one.request_id.startswith("r") else MISS for one in intents]
        return Drawing(0, 1, answers)

    async def result_of(self, _pool: Pool, intent: Intent, _: Drawing, answer: Answer) -> Any:
        """What a drawer makes of an answer; what was drawn before has to be read."""
        if answer is REPLAYED:
            await self.read.wait()
        return intent.request_id

    async def draw(self, wanted: WantedDraw) -> Any:
        """One draw by itself, of an activity that is not known yet."""
        self.apart.append(wanted.request_id)
        raise ActivityNotFoundError


class Told:
    """What callers were told, by their request ids."""

    def __init__(self) -> None:
        self.of: dict[str, Any] = {}

    def ask(self, activity_id: int, request_id: str, ticket_pool_id: int = 0) -> Ask:
        """A caller's."""

        def tell(outcome: Any) -> None:
            assert request_id not in self.of
            self.of[request_id] = outcome if isinstance(outcome, str) else type(outcome)

        wanted = WantedDraw(activity_id, 7, request_id, ticket_pool_id=ticket_pool_id)
        return Ask(wanted, cast(Any, tell))


def soon() -> float:
    """A deadline that is not reached."""
    return asyncio.get_running_loop().time() + 60


async def test_draws_of_a_pool_are_one_call_in_the_order_of_their_callers() -> None:
    """Those of another pool are another; more than a batch takes are several."""
    house, told = House(), Told()
    asks = [told.ask(1 + number % 2, f"a{number}") for number in range(7)]
    await house.drawer(max_batch_draws=3).draw_each(asks, soon())
    assert [
        (1, ["a0", "a2", "a4"]),
        (1, ["a6"]),
        (2, ["a1", "a3", "a5"]),
    ] == house.drawn
    assert {f"a{number}": f"a{number}" for number in range(7)} == told.of


async def test_nobody_waits_for_a_result_that_has_to_be_read() -> None:
    """A replay among them is told when it is read, the others at once."""
    house, told = House(), Told()
    asks = [told.ask(1, name) for name in ("a", "r", "b")]
    drawing = asyncio.ensure_future(house.drawer().draw_each(asks, soon()))
    async with asyncio.timeout(10):
        while len(told.of) < 2:  # noqa: ASYNC110  # turns of the loop
            await asyncio.sleep(0)
    assert {"a": "a", "b": "b"} == told.of
    house.read.set()
    await drawing
    assert "r" == told.of["r"]


async def test_result_that_is_not_read_in_time_is_told_so() -> None:
    """Nobody is left without a word."""
    house, told = House(), Told()
    now = asyncio.get_running_loop().time()
    await house.drawer().draw_each([told.ask(1, "r"), told.ask(1, "a")], now)
    assert {"r": TimeoutError, "a": "a"} == told.of


async def test_failure_of_one_pool_is_told_to_its_callers_alone() -> None:
    """As if each had come by himself."""
    house, told = House(full_pool=2), Told()
    await house.drawer().draw_each([told.ask(1, "a"), told.ask(2, "b"), told.ask(9, "c")], soon())
    assert {"a": "a", "b": OverloadedError, "c": ActivityNotFoundError} == told.of
    assert ["c"] == house.apart


@pytest.mark.parametrize(("activity_id", "apart"), [(0, []), (1, []), (2, ["t"])])
async def test_ticket_draws_where_it_says(activity_id: int, apart: list[str]) -> None:
    """In its own pool, together with the others; where it is of another, its refusal is its own."""
    house, told = House(), Told()
    asks = [told.ask(1, "a"), told.ask(activity_id, "t", ticket_pool_id=1)]
    await house.drawer().draw_each(asks, soon())
    assert apart == house.apart
    assert [(1, ["a"] if apart else ["a", "t"])] == house.drawn

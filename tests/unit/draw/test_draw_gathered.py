"""Draws for callers who came together: one call for a pool, and nobody waits for others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from services.common.errors import ActivityNotFoundError, OverloadedError
from services.common.tasks import outcome_of
from services.draw.code_key import CodeKey
from services.draw.lottery.gathered_drawer import GatheredDrawer
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
        self.sending: Callable[[], Awaitable[None]] = _at_once
        self._full_pool = full_pool
        codes = CodeKey("5c" * 32)
        self.pools = {
            number: Pool(
                number, number, fairness.Roller(b"s" * 32, number), codes.of_pool(number), b""
            )
            for number in (1, 2)
        }

    def drawer(self, max_batch_draws: int = 10) -> GatheredDrawer:
        """The one under test."""
        pools = SimpleNamespace(at_hand=self.pools.get, at_hand_by_id=self.pools.get)
        guard = SimpleNamespace(check=lambda: None)
        users = SimpleNamespace(are_required=False)
        batcher = SimpleNamespace(draw_wanted=self.batch)
        make: Any = GatheredDrawer
        drawer: GatheredDrawer = make(self, pools, batcher, guard, users, max_batch_draws)
        return drawer

    async def batch(
        self, pool_id: int, _: Sequence[Intent], wanted: Callable[[], Sequence[Intent]]
    ) -> Drawing:
        """What the batcher answers: a request id that begins with r was drawn before."""
        await self.sending()
        intents = wanted()
        self.drawn.append((pool_id, [intent.request_id for intent in intents]))
        if pool_id == self._full_pool:
            raise OverloadedError
        answers = [REPLAYED if one.request_id.startswith("r") else MISS for one in intents]
        return Drawing(0, 1, answers)

    def result_at_hand(self, _pool: Pool, intent: Intent, _: Drawing, answer: Answer) -> Any:
        """What a drawer makes of an answer; what was drawn before has to be read."""
        return None if answer is REPLAYED else intent.request_id

    async def result_of(self, _pool: Pool, intent: Intent, _: Drawing, _answer: Answer) -> Any:
        """The same, with what has to be read."""
        await self.read.wait()
        return intent.request_id

    async def draw(self, wanted: WantedDraw) -> Any:
        """One draw by itself, of an activity that is not known yet."""
        self.apart.append(wanted.request_id)
        raise ActivityNotFoundError


async def _at_once() -> None:
    pass


class Caller:
    """One who asks for a draw."""

    def __init__(self, told: "Told", wanted: WantedDraw) -> None:
        self.wanted = wanted
        self.is_waiting = True
        self._told = told

    def tell(self, outcome: Any) -> None:
        """He was told."""
        assert self.wanted.request_id not in self._told.of
        told = outcome if isinstance(outcome, str) else type(outcome)
        self._told.of[self.wanted.request_id] = told

    def tell_apart(self, work: Callable[[], Awaitable[Any]]) -> None:
        """He is told later."""

        async def tell() -> None:
            self.tell(await outcome_of(work()))

        self._told.apart.append(asyncio.ensure_future(tell()))


class Told:
    """What callers were told, by their request ids, and what others are told later."""

    def __init__(self) -> None:
        self.of: dict[str, Any] = {}
        self.apart: list[asyncio.Future[None]] = []

    def ask(self, activity_id: int, request_id: str, ticket_pool_id: int = 0) -> Caller:
        """A caller's."""
        wanted = WantedDraw(activity_id, 7, request_id, ticket_pool_id=ticket_pool_id)
        return Caller(self, wanted)


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
    await house.drawer().draw_each(asks, soon())
    assert {"a": "a", "b": "b"} == told.of
    house.read.set()
    await asyncio.gather(*told.apart)
    assert "r" == told.of["r"]


async def test_caller_who_leaves_before_his_draw_is_sent_is_not_drawn_for() -> None:
    """The others are, and hear their own results."""
    house, told = House(), Told()
    asks = [told.ask(1, name) for name in ("a", "b", "c")]

    async def leave() -> None:
        asks[1].is_waiting = False

    house.sending = leave
    await house.drawer().draw_each(asks, soon())
    assert [(1, ["a", "c"])] == house.drawn
    assert {"a": "a", "c": "c"} == told.of


async def test_store_that_does_not_answer_in_time_is_told_to_all() -> None:
    """Nobody is left without a word."""
    house, told = House(), Told()

    async def too_slowly() -> None:
        raise TimeoutError

    house.sending = too_slowly
    await house.drawer().draw_each([told.ask(1, "b"), told.ask(1, "a")], soon())
    assert {"b": TimeoutError, "a": TimeoutError} == told.of


async def test_failure_of_one_pool_is_told_to_its_callers_alone() -> None:
    """As if each had come by himself."""
    house, told = House(full_pool=2), Told()
    await house.drawer().draw_each([told.ask(1, "a"), told.ask(2, "b"), told.ask(9, "c")], soon())
    await asyncio.gather(*told.apart)
    assert {"a": "a", "b": OverloadedError, "c": ActivityNotFoundError} == told.of
    assert ["c"] == house.apart


async def test_defect_of_one_pool_is_told_to_its_callers_alone() -> None:
    """Nor does it keep the draws of another, which is at the store meanwhile, from being told."""
    house, told = House(), Told()
    house.pools[2].codes = None  # type: ignore[assignment]

    async def slowly() -> None:
        await asyncio.sleep(0)

    house.sending = slowly
    await house.drawer().draw_each([told.ask(1, "a"), told.ask(2, "b")], soon())
    assert {"a": "a", "b": AttributeError} == told.of


@pytest.mark.parametrize(("activity_id", "apart"), [(0, []), (1, []), (2, ["t"])])
async def test_ticket_draws_where_it_says(activity_id: int, apart: list[str]) -> None:
    """In its own pool, together with the others; where it is of another, its refusal is its own."""
    house, told = House(), Told()
    asks = [told.ask(1, "a"), told.ask(activity_id, "t", ticket_pool_id=1)]
    await house.drawer().draw_each(asks, soon())
    await asyncio.gather(*told.apart)
    assert apart == house.apart
    assert [(1, ["a"] if apart else ["a", "t"])] == house.drawn

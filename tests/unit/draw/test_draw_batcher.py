"""The batcher: gathers while a call is in flight, waits for no timer, stays bounded."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from services.common.errors import OverloadedError, UnavailableError
from services.draw.batcher import Batcher
from services.pool.rule.terms import Answer, DrawCode, Drawing, Intent
from tests.support.draws import MemoryStore, intent


class GatedStore(MemoryStore):
    """Answers each intent with its user as seq, once the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[int]] = []
        self.called = asyncio.Event()
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        del pool_id
        self.calls.append([intent.user_id for intent in intents])
        self.called.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Drawing(0, 1, [Answer(DrawCode.DRAWN, one.user_id) for one in intents])


class StepwiseStore(GatedStore):
    """Answers one call at a time, the first one first, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._gates: list[asyncio.Event] = []

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        self._gates.append(gate := asyncio.Event())
        self.gate = gate
        return await super().draw(pool_id, intents)

    def answer_one(self) -> None:
        """The oldest of those in flight."""
        self._gates.pop(0).set()


class CancelledOnceStore(GatedStore):
    """Something that its first call waits for is cancelled."""

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        drawing = await super().draw(pool_id, intents)
        if len(self.calls) == 1:
            raise asyncio.CancelledError
        return drawing


async def _some_turns() -> None:
    for _ in range(100):  # more than a batch is waited for
        await asyncio.sleep(0)


async def submit(batcher: Batcher, *users: int) -> list[int]:
    drawing = await batcher.draw(1, [intent(user, "a") for user in users])
    return [answer.first_seq for answer in drawing.answers]


async def test_draws_gather_while_a_call_is_in_flight() -> None:
    """The first draw goes alone and at once; those that come meanwhile go together."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=100, max_pending_draws=1000)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(submit(batcher, 1))
        await store.called.wait()
        others = [tasks.create_task(submit(batcher, user, user + 100)) for user in range(2, 6)]
        await asyncio.sleep(0)
        store.gate.set()
    assert [[1], [2, 102, 3, 103, 4, 104, 5, 105]] == store.calls
    assert [1] == first.result()
    assert [task.result() for task in others] == [[user, user + 100] for user in range(2, 6)]


async def submit_later(batcher: Batcher, user: int, turns: int) -> None:
    """Draw after so many turns of the event loop."""
    for _ in range(turns):
        await asyncio.sleep(0)
    await submit(batcher, user)


async def _calls_after(*first: int) -> list[list[int]]:
    """The calls that come of *first* at once, and of 8 and 9 after it, 9 some turns later."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=100, max_pending_draws=1000)
    async with asyncio.TaskGroup() as tasks:
        for user in first:
            tasks.create_task(submit(batcher, user))
        await store.called.wait()
        store.gate.set()
        tasks.create_task(submit_later(batcher, 8, 0))
        tasks.create_task(submit_later(batcher, 9, 10))
    return store.calls


async def test_draws_on_their_way_share_a_call_when_several_came_before() -> None:
    """Under load, what has arrived already is let through before the next call."""
    assert [[1, 2], [8, 9]] == await _calls_after(1, 2)


async def test_lone_draw_holds_nobody_up() -> None:
    """Without load, each draw goes at once."""
    assert [[1], [8], [9]] == await _calls_after(1)


async def test_batch_never_exceeds_its_cap() -> None:
    """A long queue is taken in calls of at most max_batch_draws."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=10, max_pending_draws=1000)
    async with asyncio.TaskGroup() as tasks:
        for user in range(1, 36):
            tasks.create_task(submit(batcher, user))
        await store.called.wait()
        store.gate.set()
    assert max(len(call) for call in store.calls) <= 10
    assert [user for call in store.calls for user in call] == list(range(1, 36))


async def test_full_batch_does_not_wait_for_the_one_in_flight() -> None:
    """One beside it, and no further; what would not be full waits for both."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=2, max_pending_draws=1000)
    async with asyncio.TaskGroup() as tasks:
        drawn = [tasks.create_task(submit(batcher, 1))]
        await store.called.wait()
        drawn += [tasks.create_task(submit(batcher, user)) for user in range(2, 7)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert [[1], [2, 3]] == store.calls
        store.gate.set()
    assert [[1], [2, 3], [4, 5], [6]] == store.calls
    assert [[user] for user in range(1, 7)] == [task.result() for task in drawn]


async def test_half_a_batch_waits_until_nothing_is_in_flight() -> None:
    """Those that end first leave it to the last: small calls would cost more than they gain."""
    store = StepwiseStore()
    batcher = Batcher(store, max_batch_draws=2, max_pending_draws=1000)
    async with asyncio.TaskGroup() as tasks:
        for users in ((1,), (2, 3), (4,)):
            tasks.create_task(submit(batcher, *users))
            await asyncio.sleep(0)
        for calls in ([[1], [2, 3]], [[1], [2, 3]], [[1], [2, 3], [4]]):
            await _some_turns()
            assert calls == store.calls
            store.answer_one()
        await batcher.close()


async def test_failure_that_nobody_expects_leaves_no_lane_behind() -> None:
    """What the store waited for was cancelled, or counting fails: the next draws are made."""
    store = CancelledOnceStore()
    batcher = Batcher(store, max_batch_draws=4, max_pending_draws=1000)
    store.gate.set()
    with pytest.raises(ConnectionAbortedError):
        await submit(batcher, 1)
    assert [2] == await submit(batcher, 2)
    batcher._outcomes = SimpleNamespace(count=None)
    with pytest.raises(TypeError):
        await submit(batcher, 3)
    await batcher.close()


async def test_draws_that_wait_for_their_marks_count_as_waiting() -> None:
    """Else a disk that hangs would fill the memory of a process whose store is well."""
    store = GatedStore()
    store.gate.set()
    disk: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    batcher = Batcher(store, 4, max_pending_draws=6, sealed=lambda _: disk)
    waiting = [asyncio.ensure_future(submit(batcher, user, user + 10)) for user in range(1, 4)]
    await _some_turns()
    with pytest.raises(OverloadedError):
        await submit(batcher, 9)
    disk.set_result(None)
    assert [[user, user + 10] for user in range(1, 4)] == await asyncio.gather(*waiting)
    disk = asyncio.get_running_loop().create_future()
    disk.set_result(None)
    assert [9] == await submit(batcher, 9)


async def test_what_is_too_much_for_one_call_goes_after_it() -> None:
    """Where nothing is in flight: two calls that are not full would only be smaller."""
    store = StepwiseStore()
    batcher = Batcher(store, max_batch_draws=4, max_pending_draws=1000)
    async with asyncio.TaskGroup() as tasks:
        for users in ((1, 2, 3), (4, 5)):
            tasks.create_task(submit(batcher, *users))
        await _some_turns()
        assert [[1, 2, 3]] == store.calls
        store.answer_one()
        await _some_turns()
        assert [[1, 2, 3], [4, 5]] == store.calls
        store.answer_one()


async def test_all_is_answered_before_it_closes() -> None:
    """Both calls in flight, and what waits behind them."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=2, max_pending_draws=1000)
    drawn = [asyncio.ensure_future(submit(batcher, user)) for user in range(1, 8)]
    await store.called.wait()
    asyncio.get_running_loop().call_soon(store.gate.set)
    await batcher.close()
    assert [[user] for user in range(1, 8)] == [one.result() for one in drawn if one.done()]


async def test_draw_is_shed_when_too_many_wait() -> None:
    """Beyond the bound a draw is refused at once; below it again draws are taken."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=2, max_pending_draws=3)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(submit(batcher, 1))
        await store.called.wait()
        for user in (2, 3, 4):
            tasks.create_task(submit(batcher, user))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await submit(batcher, 5)
        store.gate.set()
    assert [6] == await submit(batcher, 6)


async def test_cancelled_draw_is_not_sent_when_it_still_waits() -> None:
    """A caller that gives up before its batch is sent has drawn nothing."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=10, max_pending_draws=100)
    first = asyncio.ensure_future(submit(batcher, 1))
    await store.called.wait()
    second = asyncio.ensure_future(submit(batcher, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    store.gate.set()
    await first
    await batcher.close()
    assert [[1]] == store.calls


async def test_of_several_draws_those_are_sent_that_are_wanted_when_they_are() -> None:
    """What nobody wants any more is not, and holds up nobody."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=10, max_pending_draws=100)
    first = asyncio.ensure_future(submit(batcher, 1))
    await store.called.wait()
    asked = [intent(user, "a") for user in (2, 3, 4)]
    some = asyncio.ensure_future(batcher.draw_wanted(1, asked, lambda: asked[1:]))
    none = asyncio.ensure_future(batcher.draw_wanted(1, asked, list))
    last = asyncio.ensure_future(submit(batcher, 5))
    store.gate.set()
    assert [3, 4] == [answer.first_seq for answer in (await some).answers]
    assert [1] == await first
    assert [5] == await last
    await asyncio.wait([none])
    assert none.cancelled()
    assert [[1], [3, 4, 5]] == store.calls


async def test_failure_reaches_every_caller_of_the_batch_and_no_other() -> None:
    """When a call fails, those in it learn it; the next call is a fresh one."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=10, max_pending_draws=100)
    store.failure = ConnectionError("gone")
    store.gate.set()
    results = await asyncio.gather(submit(batcher, 1), submit(batcher, 2), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
    store.failure = None
    assert [3] == await submit(batcher, 3)


async def test_pools_do_not_wait_for_each_other() -> None:
    """A pool whose call hangs holds up no other pool."""
    store = GatedStore()
    batcher = Batcher(store, max_batch_draws=10, max_pending_draws=100)
    async with asyncio.TaskGroup() as tasks:
        for pool_id in (1, 2):
            tasks.create_task(batcher.draw(pool_id, [intent(1, "a")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 2 == len(store.calls)
        store.gate.set()
    assert 2 == len(store.calls)


async def test_answers_leave_when_they_are_sealed_and_the_next_batch_does_not_wait() -> None:
    """What cannot be sealed fails for its callers alone; close() waits for what is unsealed."""
    store, loop = GatedStore(), asyncio.get_running_loop()
    store.gate.set()
    seals: list[asyncio.Future[None]] = []

    def sealed(_: int) -> asyncio.Future[None]:
        seals.append(loop.create_future())
        return seals[-1]

    batcher = Batcher(store, max_batch_draws=1, max_pending_draws=1000, sealed=sealed)
    draws = [asyncio.create_task(submit(batcher, user)) for user in (1, 2, 3)]
    while len(seals) < 3:  # noqa: ASYNC110  # turns of the loop
        await asyncio.sleep(0)
    assert not any(draw.done() for draw in draws)
    closing = asyncio.create_task(batcher.close())
    seals[1].set_exception(UnavailableError())
    seals[2].set_result(None)
    assert [3] == await draws[2]
    with pytest.raises(UnavailableError):
        await draws[1]
    assert not closing.done()
    assert not draws[0].done()
    seals[0].set_result(None)
    assert [1] == await draws[0]
    await closing

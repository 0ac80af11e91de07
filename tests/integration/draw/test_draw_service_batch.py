"""DrawBatch and DrawStream: each element its own answer, whatever the others are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from kuji.draw.v1 import draw_pb2, pool_pb2
from pydantic import SecretStr

from services.common.context import RequestContext
from services.common.status import error_info_of
from services.draw.assembly import open_draw
from services.draw.settings import DrawSettings
from tests.support.admin import failure
from tests.support.draw_service import (
    SEED_KEY,
    Activity,
    Caller,
    World,
    element,
    told,
)
from tests.support.draws import CODE_KEY
from tests.support.history import eventually

SURE = 1_000_000_000
METHOD = "/kuji.draw.v1.DrawService/DrawStream"
Element = tuple[int, int, str]


async def mixed(world: World) -> tuple[list[Element], list[str], list[Activity]]:
    """Good and bad elements over several activities, and what each must be told."""
    open_one, other = await world.activity((50, SURE)), await world.activity((50, 0))
    paused = await world.activity((5, SURE), status=pool_pb2.POOL_STATUS_PAUSED)
    limited = await world.activity((5, SURE), limits=pool_pb2.UserLimits(draws_per_user=1))
    one, two, three = (open_one.activity_id, other.activity_id, limited.activity_id)
    cases: list[tuple[Element, str]] = [
        ((one, 1, "a"), f"{open_one.pool_id}-1"),
        ((987_654, 1, "a"), "ACTIVITY_NOT_FOUND"),
        ((one, 2, "a"), f"{open_one.pool_id}-2"),
        ((one, 1, "a"), f"{open_one.pool_id}-1"),
        ((one, 0, "a"), "INVALID_ARGUMENT"),
        ((one, -5, "a"), "INVALID_ARGUMENT"),
        ((one, 3, ""), "INVALID_ARGUMENT"),
        ((one, 3, "x" * 65), "INVALID_ARGUMENT"),
        ((one, 3, "抽"), "INVALID_ARGUMENT"),
        ((0, 3, "a"), "INVALID_ARGUMENT"),
        ((-1, 3, "a"), "INVALID_ARGUMENT"),
        ((paused.activity_id, 1, "a"), "ACTIVITY_NOT_ONGOING"),
        ((two, 1, "a"), f"{other.pool_id}-1"),
        ((three, 1, "a"), f"{limited.pool_id}-1"),
        ((three, 1, "b"), "QUOTA_SPENT"),
        ((two, 2, "a"), f"{other.pool_id}-2"),
        ((one, 3, "a"), f"{open_one.pool_id}-3"),
    ]
    activities = [open_one, other, paused, limited]
    return [case for case, _ in cases], [answer for _, answer in cases], activities


async def test_batch_answers_each_element_in_order(world: World) -> None:
    """Good, bad, repeated, of several activities: each gets its own, and none spoils another."""
    elements, expected, (open_one, *_) = await mixed(world)
    outcomes = await world.service().batch(*elements)
    assert expected == [told(outcome) for outcome in outcomes]
    assert [False, True] == [outcomes[place].result.replayed for place in (0, 3)]
    assert [name for _, _, name in elements if name == "a"][:2] == ["a", "a"]
    assert [47] == await world.left(open_one)


async def test_batch_names_what_is_wrong_with_an_element(world: World) -> None:
    """An element's error carries what the call's error would: reason, sentence, metadata."""
    activity = await world.activity((5, SURE), limits=pool_pb2.UserLimits(draws_per_user=1))
    outcomes = await world.service().batch(
        (activity.activity_id, 1, "a"),
        (activity.activity_id, 1, "b"),
        (activity.activity_id, 0, ""),
    )
    errors = [(one.error.reason, dict(one.error.metadata)) for one in outcomes[1:]]
    assert [
        ("QUOTA_SPENT", {"quota": "draws_per_user"}),
        ("INVALID_ARGUMENT", {"field": "user_id"}),
    ] == errors
    assert all(one.error.message for one in outcomes[1:])


@pytest.mark.parametrize("count", [1, 1000])
async def test_batch_takes_one_to_a_thousand(world: World, count: int) -> None:
    """All draw, each once, and the order is the request's also across script calls."""
    activity = await world.activity((300, SURE))
    elements = [(activity.activity_id, user_id, "a") for user_id in range(1, count + 1)]
    outcomes = await world.service().batch(*elements)
    assert [f"{activity.pool_id}-{seq}" for seq in range(1, count + 1)] == [
        told(outcome) for outcome in outcomes
    ]
    assert min(count, 300) == sum(outcome.result.won for outcome in outcomes)
    again = await world.service().batch(*elements)
    assert [outcome.result.draw_id for outcome in outcomes] == [told(one) for one in again]
    assert all(outcome.result.replayed for outcome in again)


@pytest.mark.parametrize("count", [0, 1001])
async def test_batch_is_refused_when_its_size_is_unfit(world: World, count: int) -> None:
    """None, or more than a thousand: nothing is drawn."""
    activity = await world.activity((5, SURE))
    elements = [(activity.activity_id, user_id, "a") for user_id in range(1, count + 1)]
    refused = await failure(world.service().batch(*elements))
    assert ("INVALID_ARGUMENT", {"field": "draws"}) == refused
    assert [5] == await world.left(activity)


async def test_batch_and_stream_are_for_services_alone(world: World) -> None:
    """A user's token, or an administrator's, draws for nobody else."""
    activity = await world.activity((5, SURE))
    for role in ("user", "admin"):
        caller = world.user(7, role=role)
        batch = caller.batch((activity.activity_id, 7, "a"))
        stream = answers(caller, [(activity.activity_id, 7, "a")])
        assert ["PERMISSION_DENIED"] * 2 == [(await failure(call))[0] for call in (batch, stream)]
    assert [5] == await world.left(activity)


async def answers(caller: Caller, elements: Sequence[Element]) -> dict[int, Any]:
    """The outcomes of a whole stream by index; the client half-closes after the last element."""
    responses = [response async for response in caller.stream(_requests(elements))]
    found = {response.index: response.outcome for response in responses}
    assert len(found) == len(responses)
    return found


async def _requests(elements: Iterable[Element]) -> AsyncIterator[draw_pb2.DrawStreamRequest]:
    for one in elements:
        yield draw_pb2.DrawStreamRequest(draw=element(*one))


async def test_stream_answers_each_element(world: World) -> None:
    """Good and bad: every index once, also those that come after the client has half-closed."""
    elements, expected, (open_one, *_) = await mixed(world)
    found = await answers(world.service(), elements)
    assert list(range(len(elements))) == sorted(found)
    # Draws that run side by side may change places: in the ledger, and before a quota.
    errors = Counter(outcome.error.reason for outcome in found.values() if outcome.error.reason)
    assert Counter(answer for answer in expected if answer.isupper()) == errors
    assert {answer for answer in expected if answer[0].isdigit()} == {
        told(outcome) for outcome in found.values() if outcome.HasField("result")
    }
    assert ["INVALID_ARGUMENT"] * 7 == [told(found[index]) for index in range(4, 11)]
    assert {told(found[0])} == {told(found[3])}
    assert [47] == await world.left(open_one)


async def test_stream_takes_more_elements_than_may_be_in_flight(world: World) -> None:
    """5000 elements through the bounded window: each answered, none drawn twice."""
    activity = await world.activity((700, SURE))
    elements = [(activity.activity_id, user_id, "a") for user_id in range(1, 5001)]
    found = await answers(world.service(), elements)
    assert list(range(5000)) == sorted(found)
    assert {f"{activity.pool_id}-{seq}" for seq in range(1, 5001)} == {
        told(outcome) for outcome in found.values()
    }
    assert 700 == sum(outcome.result.won for outcome in found.values())


async def test_stream_is_empty_when_nothing_is_sent(world: World) -> None:
    """A client that half-closes at once gets no answers and no error."""
    assert {} == await answers(world.service(), [])


async def test_stream_answers_while_the_client_still_sends(world: World) -> None:
    """An answer does not wait for the end of the requests."""
    activity = await world.activity((5, SURE))
    caller = world.service()
    call = caller.stream()
    for index in range(3):
        one = element(activity.activity_id, index + 1, "a")
        await call.write(draw_pb2.DrawStreamRequest(draw=one))
        response = await call.read()
        assert (index, f"{activity.pool_id}-{index + 1}") == (
            response.index,
            told(response.outcome),
        )
    await call.done_writing()
    assert grpc.StatusCode.OK is await call.code()


async def test_stream_reads_no_further_when_its_answers_are_not_taken(
    world: World, postgres_dsn: str, redis_url: str
) -> None:
    """A thousand elements are in hand at most, however many the client sends."""
    activity = await world.activity((5, SURE))
    taken = 0

    async def many() -> AsyncIterator[draw_pb2.DrawStreamRequest]:
        nonlocal taken
        for taken in range(1, 3001):
            yield draw_pb2.DrawStreamRequest(draw=element(activity.activity_id, taken, "a"))

    async def all_in_hand_are_drawn() -> bool:
        state = await world.state(activity)
        return state is not None and state.last_seq == 1000

    settings = DrawSettings(
        listen="",
        postgres_dsn=postgres_dsn,
        redis_url=redis_url,
        auth_address="",
        seed_key=SecretStr(SEED_KEY),
        code_key=SecretStr(CODE_KEY),
    )
    async with open_draw(settings) as draw:
        servicer: Any = draw.services[0].servicer
        async with aclosing(servicer.DrawStream(many(), RequestContext(None, 30))) as stream:
            await anext(stream)
            await eventually(all_in_hand_are_drawn)
            assert 1001 == taken


async def _write(call: Any, activity_id: int, count: int) -> None:
    for user_id in range(1, count + 1):
        await call.write(draw_pb2.DrawStreamRequest(draw=element(activity_id, user_id, "a")))
    await call.done_writing()


async def test_service_goes_on_when_a_client_cancels_its_stream(world: World) -> None:
    """What was drawn stays drawn and can be asked for; no task of the stream is left behind."""
    activity = await world.activity((5000, SURE))
    caller = world.service()
    tasks_before = len(asyncio.all_tasks())
    call = caller.stream()
    writing = asyncio.ensure_future(_write(call, activity.activity_id, 5000))
    first = await call.read()
    assert first.outcome.result.won
    call.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > tasks_before:  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(0.02)
    state = await world.state(activity)
    assert state is not None
    outcomes = await caller.batch(*[(activity.activity_id, n, "a") for n in range(1, 901)])
    drawn_before = sum(outcome.result.replayed for outcome in outcomes)
    assert min(900, state.last_seq) == drawn_before
    assert [5000 - max(900, state.last_seq)] == await world.left(activity)


async def test_stream_ends_with_a_reason_when_a_message_is_malformed(world: World) -> None:
    """Bytes that are no message end the stream as INVALID_ARGUMENT; what came before is drawn."""
    activity = await world.activity((5, SURE))
    caller = world.service()
    rpc: Any = world.channels[0].stream_stream(
        METHOD, bytes, draw_pb2.DrawStreamResponse.FromString
    )
    call = rpc(timeout=30, metadata=caller.metadata)
    good = draw_pb2.DrawStreamRequest(draw=element(activity.activity_id, 1, "a"))
    await call.write(good.SerializeToString())
    assert f"{activity.pool_id}-1" == told((await call.read()).outcome)
    await call.write(b"\xff\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    info = error_info_of(caught.value)
    assert info is not None
    assert ("INVALID_ARGUMENT", grpc.StatusCode.INVALID_ARGUMENT) == (
        info.reason,
        caught.value.code(),
    )

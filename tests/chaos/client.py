"""
One client process of a storm: draws for its users as fast as it is answered.

Usage: python -m tests.chaos.client ORDER, where ORDER is an Order as JSON. Half of the users draw
by unary calls, half in batches. Every answer is a line of the file that ORDER names. It gives up
after _BOUND_S.
"""

import asyncio
import faulthandler
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

from services.common.status import error_info_of

_BATCH_DRAWS = 100
_UNARY_CALLERS = 16
_BATCH_CALLERS = 2
_CALL_TIMEOUT_S = 20
_ATTEMPTS = 50
_PAUSE_S = 0.2
_BOUND_S = 200
_PASSING = frozenset({"UNAVAILABLE", "OVERLOADED"})


@dataclass(frozen=True)
class Order:
    """
    What a client is told.

    Args:
        addresses: host:port of each draw process.
        token: A service's.
        first_user: Its users are *draws* ids from here on; each draws once.
        sends: How often each request is sent, at the same time.
        answers: File to write.
    """

    addresses: Sequence[str]
    token: str
    activity_id: int
    first_user: int
    draws: int
    sends: int
    answers: str

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


class Answer(NamedTuple):
    """A draw's result as it was acknowledged; prize_id 0 and prize_code "": a miss."""

    user_id: int
    request_id: str
    draw_id: str
    prize_id: int
    prize_name: str
    prize_code: str
    weight: int
    total: int
    version: int
    drawn_ms: int
    replayed: bool


class FailedError(Exception):
    """A draw was refused, or not answered however often it was asked for."""


def request_id_of(user_id: int) -> str:
    """The name of a user's one draw."""
    return f"storm-{user_id}"


def _answer(user_id: int, result: draw_pb2.DrawResult) -> Answer:
    return Answer(
        user_id,
        result.request_id,
        result.draw_id,
        result.prize.prize_id,
        result.prize.name,
        result.prize.prize_code,
        result.odds_weight,
        result.odds_total,
        result.pool_version,
        result.drawn_at.ToMilliseconds(),
        result.replayed,
    )


class Client:
    """Draws over one stub a draw process."""

    def __init__(self, order: Order, stubs: Sequence[draw_pb2_grpc.DrawServiceStub]) -> None:
        self._order = order
        self._stubs = stubs
        self._metadata = (("authorization", f"Bearer {order.token}"),)
        self.answers: list[Answer] = []

    async def storm(self) -> None:
        """Draw for all users."""
        users = range(self._order.first_user, self._order.first_user + self._order.draws)
        singles, rest = iter(users[: len(users) // 2]), users[len(users) // 2 :]
        batches = (rest[at : at + _BATCH_DRAWS] for at in range(0, len(rest), _BATCH_DRAWS))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_UNARY_CALLERS):
                tasks.create_task(self._work_off(singles, self._draw_once))
            for _ in range(_BATCH_CALLERS):
                tasks.create_task(self._work_off(batches, self._draw_batch))

    async def _work_off(
        self, items: Iterator[Any], draw: Callable[[Any, int], Awaitable[None]]
    ) -> None:
        for item in items:
            first = self._order.first_user
            sends = [draw(item, first + nth) for nth in range(self._order.sends)]
            await asyncio.gather(*sends)

    def _stub(self, turn: int) -> Any:
        return self._stubs[turn % len(self._stubs)]

    async def _draw_once(self, user_id: int, turn: int) -> None:
        request = draw_pb2.DrawRequest(
            activity_id=self._order.activity_id,
            user_id=user_id,
            request_id=request_id_of(user_id),
        )
        for attempt in range(_ATTEMPTS):
            try:
                response = await self._stub(turn + attempt).Draw(
                    request, timeout=_CALL_TIMEOUT_S, metadata=self._metadata
                )
            except grpc.aio.AioRpcError as error:
                await self._pause(_reason(error), user_id)
            else:
                self.answers.append(_answer(user_id, response.result))
                return
        raise FailedError(f"user {user_id} got no answer")

    async def _draw_batch(self, users: Sequence[int], turn: int) -> None:
        missing = list(users)
        for attempt in range(_ATTEMPTS):
            missing = await self._draw_missing(missing, self._stub(turn + attempt))
            if not missing:
                return
        raise FailedError(f"users {missing} got no answer")

    async def _draw_missing(self, users: Sequence[int], stub: Any) -> list[int]:
        draws = [
            draw_pb2.BatchDraw(
                activity_id=self._order.activity_id,
                user_id=user_id,
                request_id=request_id_of(user_id),
            )
            for user_id in users
        ]
        try:
            response = await stub.DrawBatch(
                draw_pb2.DrawBatchRequest(draws=draws),
                timeout=_CALL_TIMEOUT_S,
                metadata=self._metadata,
            )
        except grpc.aio.AioRpcError as error:
            await self._pause(_reason(error), users[0])
            return list(users)
        return await self._sort(users, response.outcomes)

    async def _sort(self, users: Sequence[int], outcomes: Sequence[Any]) -> list[int]:
        missing = []
        for user_id, outcome in zip(users, outcomes, strict=True):
            if outcome.HasField("result"):
                self.answers.append(_answer(user_id, outcome.result))
            else:
                missing.append(user_id)
                await self._pause(outcome.error.reason, user_id)
        return missing

    async def _pause(self, reason: str, user_id: int) -> None:
        if reason not in _PASSING:
            raise FailedError(f"user {user_id} was refused: {reason}")
        await asyncio.sleep(_PAUSE_S)


def _reason(error: grpc.aio.AioRpcError) -> str:
    info = error_info_of(error)
    if info is not None:
        return str(info.reason)
    lost = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return "UNAVAILABLE" if error.code() in lost else error.code().name


@asynccontextmanager
async def _connected(order: Order) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address))
            for address in order.addresses
        ]
        yield Client(order, [draw_pb2_grpc.DrawServiceStub(channel) for channel in channels])


async def drawn(order: Order) -> list[Answer]:
    """Everything that was answered."""
    async with _connected(order) as client:
        await client.storm()
        return client.answers


def write_answers(file: Path, answers: Sequence[Answer]) -> None:
    """One a line."""
    file.write_text("".join(f"{json.dumps(answer)}\n" for answer in answers))


def read_answers(file: Path) -> list[Answer]:
    """What write_answers wrote."""
    return [Answer(*json.loads(line)) for line in file.read_text().splitlines()]


if __name__ == "__main__":
    faulthandler.dump_traceback_later(_BOUND_S, exit=True)  # a client that hangs says where
    given = Order(**json.loads(sys.argv[1]))
    write_answers(Path(given.answers), asyncio.run(drawn(given)))

"""An RPC whose calls are answered together, as many as have arrived."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias, cast

from services.common.context import RequestContext
from services.common.server.front.call import FrontCall
from services.common.server.gate import Call, Gate
from services.common.server.patience import TimeBounds
from services.common.server.rpc import Rpc
from services.common.stopped import BOUNDS, LOAD, TOKEN
from services.common.tasks import outcome_of

# Called once for each of the requests, by its place, as soon as there is something to say.
Tell: TypeAlias = Callable[[int, Any], None]


class AnswersEach(Protocol):
    """What a servicer has beside a method that answers one call."""

    def __call__(
        self, requests: Sequence[Any], contexts: Sequence[RequestContext], tell: Tell, /
    ) -> Awaitable[None]:
        """Tell of each its response, or the error that says why there is none."""


class GatheredRpc:
    """
    An RPC whose calls are answered together: no task and no timer for each.

    A call that has to wait before it is admitted, since its token was not seen before, is answered
    by itself.

    Args:
        rpc: What answers one by itself; what is refused is refused as there.
        each: Answers many.
        gate: Admits them.
        alone: Lets a coroutine answer a call by itself.
        serialize: Makes bytes of a response.
    """

    def __init__(
        self,
        rpc: Rpc,
        each: AnswersEach,
        gate: Gate,
        alone: Callable[[Any, FrontCall], None],
        serialize: Callable[[Any], bytes],
    ) -> None:
        self.rpc = rpc
        self.gate = gate
        self.serialize = serialize
        self._each = each
        self._alone = alone
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, arrived: Sequence[tuple[bytes, FrontCall]]) -> None:
        """Have all of *arrived* answered."""
        began = time.perf_counter()
        calls = [_GatheredCall(self, call, began) for _, call in arrived]
        contexts = [
            call.admitted(request) for call, (request, _) in zip(calls, arrived, strict=True)
        ]
        both = zip(calls, contexts, strict=True)
        admitted = [(call, ctx) for call, ctx in both if ctx is not None]
        if admitted:
            task = asyncio.get_running_loop().create_task(self._answer(admitted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def alone(self, request: bytes, call: FrontCall) -> None:
        """Have *call* answered by itself."""
        self._alone(self._answer_alone(request, call), call)

    async def _answer_alone(self, request: bytes, call: FrontCall) -> None:
        response = await self.rpc.unary(request, cast("Call", call))
        call.answer(self.serialize(response))

    async def _answer(self, admitted: Sequence[tuple[_GatheredCall, RequestContext]]) -> None:
        calls = [call for call, _ in admitted]

        def tell(place: int, outcome: Any) -> None:  # noqa: ANN401
            calls[place].tell(outcome)

        each = self._each([call.message for call in calls], [ctx for _, ctx in admitted], tell)
        failure = await outcome_of(each)
        if failure is not None:
            for call in calls:  # those that were told already are over
                call.tell(failure)


class _GatheredCall:
    """One of them: in hand until it is answered, late, or left."""

    def __init__(self, gathered: GatheredRpc, call: FrontCall, began: float) -> None:
        self.message: Any = None
        self.until: float | None = None
        self.tick = -1
        self._gathered = gathered
        self._call = call
        self._began = began
        self._layer = LOAD
        self._is_in_hand = False
        self._is_bounded = False

    def admitted(self, request: bytes) -> RequestContext | None:
        """What it is answered by; None: it is refused, or answered by itself."""
        rpc, gate = self._gathered.rpc, self._gathered.gate
        if self._call.is_over:
            rpc.count_left()
            return None
        try:
            gate.calls.take()
            self._is_in_hand = True
            self._layer = TOKEN
            ctx = gate.admit_known(rpc.access, cast("Call", self._call))
            if ctx is None:
                self._let_go()
                self._gathered.alone(request, self._call)
                return None
            self._layer = BOUNDS
            self.message = rpc.parse(request)
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            self.tell(error)
            return None
        self._layer = rpc.layer
        self._call.left = self._left
        self._bound(gate.bounds, ctx.remaining_s)
        return ctx

    def tell(self, outcome: Any) -> None:  # noqa: ANN401
        """Answer it with *outcome*, unless it is over."""
        if self._call.is_over:
            return
        rpc = self._gathered.rpc
        if isinstance(outcome, Exception):
            self._call.refuse(*rpc.refusal(outcome, self._layer, self.message))
        else:
            self._call.answer(self._gathered.serialize(outcome))
            rpc.count_answered((time.perf_counter() - self._began,))
        self._let_go()

    def end(self) -> None:
        """It takes too long; see TimeBounds."""
        self._is_bounded = False
        self.tell(TimeoutError("late"))

    def _left(self) -> None:
        self._gathered.rpc.count_left()
        self._let_go()

    def _bound(self, bounds: TimeBounds, seconds: float) -> None:
        self.until = asyncio.get_running_loop().time() + seconds
        self._is_bounded = True
        bounds.add(self)

    def _let_go(self) -> None:
        self._call.left = None
        if self._is_in_hand:
            self._is_in_hand = False
            self._gathered.gate.calls.give_back()
        if self._is_bounded:
            self._is_bounded = False
            self._gathered.gate.bounds.discard(self)

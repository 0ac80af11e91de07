"""An RPC whose calls are answered together, as many as have arrived."""

# The generic types of grpc are generic in its stubs alone.
from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias, cast

from services.common.context import RequestContext
from services.common.server.front.call import FrontCall
from services.common.server.gate import Call, Gate
from services.common.server.patience import TimeBounds
from services.common.server.rpc import Rpc
from services.common.stopped import BOUNDS, LOAD, TOKEN
from services.common.tasks import outcome_of

Work: TypeAlias = Callable[[], Awaitable[Any]]


class Callers(Protocol):
    """Those whose calls are answered together, each by the place of its request."""

    def is_waiting(self, place: int) -> bool:
        """Whether it still waits: it was not answered, has not left, and is not too late."""

    def tell(self, place: int, outcome: Any) -> None:  # noqa: ANN401
        """Answer it with a response, or with the error that says why there is none."""

    def answer_apart(self, place: int, work: Work) -> None:
        """Tell it what *work* gives or raises, which is cancelled once it waits no more."""


class AnswersEach(Protocol):
    """What a servicer has beside a method that answers one call."""

    def __call__(
        self, requests: Sequence[Any], contexts: Sequence[RequestContext], callers: Callers, /
    ) -> Awaitable[None]:
        """Tell each caller, or have it answered apart."""


class GatheredRpc:
    """
    An RPC whose calls are answered together: no task and no timer for each.

    A call that has to wait before it is admitted, since its token was not seen before, is answered
    by itself.

    Args:
        rpc: What answers one by itself; what is refused is refused as there.
        each: Answers many.
        gate: Admits them.
        alone: Lets something answer a call by itself.
        serialize: Makes bytes of a response.
    """

    def __init__(
        self,
        rpc: Rpc,
        each: AnswersEach,
        gate: Gate,
        alone: Callable[[Work, FrontCall], None],
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
        self._alone(partial(self._answer_alone, request, call), call)

    async def _answer_alone(self, request: bytes, call: FrontCall) -> None:
        response = await self.rpc.unary(request, cast("Call", call))
        call.answer(self.serialize(response))

    async def _answer(self, admitted: Sequence[tuple[_GatheredCall, RequestContext]]) -> None:
        calls = [call for call, _ in admitted]
        contexts = [ctx for _, ctx in admitted]
        each = self._each([call.message for call in calls], contexts, _Callers(calls))
        failure = await outcome_of(each) or _Untold()
        for call in calls:  # those that were told already are over
            call.end_untold(failure)


class _Untold(Exception):  # noqa: N818  # for the log
    """What answers many has forgotten one."""


class _Callers:
    """See Callers."""

    def __init__(self, calls: Sequence[_GatheredCall]) -> None:
        self._calls = calls

    def is_waiting(self, place: int) -> bool:
        return self._calls[place].is_waiting

    def tell(self, place: int, outcome: Any) -> None:  # noqa: ANN401
        self._calls[place].tell(outcome)

    def answer_apart(self, place: int, work: Work) -> None:
        self._calls[place].answer_apart(work)


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
        self._work: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it was neither answered nor left."""
        return not self._call.is_over

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
            self._layer = rpc.layer
            self._call.left = self._left
            self._bound(gate.bounds, ctx.remaining_s)
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            self.tell(error)
            return None
        return ctx

    def tell(self, outcome: Any) -> None:  # noqa: ANN401
        """Answer it with *outcome*, unless it is over."""
        if self._call.is_over:
            return
        try:
            if isinstance(outcome, Exception):
                self._refuse(outcome)
            else:
                self._call.answer(self._gathered.serialize(outcome))
                self._gathered.rpc.count_answered((time.perf_counter() - self._began,))
        except Exception as error:  # noqa: BLE001  # it is this caller's, and nobody else's
            self._refuse(error)
        finally:
            self._let_go()

    def answer_apart(self, work: Work) -> None:
        """Answer it with what *work* gives or raises, unless it is over before."""
        if not self._call.is_over:
            self._work = asyncio.get_running_loop().create_task(self._told_of(work))

    async def _told_of(self, work: Work) -> None:
        outcome = await outcome_of(work())
        self._work = None
        self.tell(outcome)

    def end_untold(self, failure: Exception) -> None:
        """Nobody is to answer it any more but what does so apart."""
        if self._work is None:
            self.tell(failure)

    def end(self) -> None:
        """It takes too long; see TimeBounds."""
        self._is_bounded = False
        self.tell(TimeoutError("late"))

    def _refuse(self, error: Exception) -> None:
        self._call.refuse(*self._gathered.rpc.refusal(error, self._layer, self.message))

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
        if self._work is not None:
            self._work.cancel()
            self._work = None

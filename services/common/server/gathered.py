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


class AnswersEach(Protocol):
    """What a servicer has beside a method that answers one call."""

    def __call__(self, calls: Sequence[GatheredCall], /) -> Awaitable[None]:
        """Tell each of *calls*, or have it answered apart."""


class GatheredRpc:
    """
    An RPC whose calls are answered together: no task and no timer for each.

    A call that has to wait before it is admitted, since the key of its token is not known here, is
    answered by itself.

    Args:
        rpc: What answers one by itself; what is refused is refused as there.
        each: Answers many.
        gate: Admits them.
        alone: Lets something answer a call by itself.
        serialize: Makes bytes of what *rpc* answers.
        write: Makes bytes of what *each* tells.
    """

    def __init__(
        self,
        rpc: Rpc,
        each: AnswersEach,
        gate: Gate,
        alone: Callable[[Work, FrontCall], None],
        serialize: Callable[[Any], bytes],
        write: Callable[[Any], bytes],
    ) -> None:
        self.rpc = rpc
        self.gate = gate
        self.write = write
        self._serialize = serialize
        self._each = each
        self._alone = alone
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, arrived: Sequence[tuple[bytes, FrontCall]]) -> None:
        """Have all of *arrived* answered."""
        began = time.perf_counter()
        calls = [(GatheredCall(self, call, began), request) for request, call in arrived]
        admitted = [call for call, request in calls if call.admit(request)]
        if admitted:
            task = asyncio.get_running_loop().create_task(self._answer(admitted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def alone(self, request: bytes, call: FrontCall) -> None:
        """Have *call* answered by itself."""
        self._alone(partial(self._answer_alone, request, call), call)

    async def _answer_alone(self, request: bytes, call: FrontCall) -> None:
        response = await self.rpc.unary(request, cast("Call", call))
        call.answer(self._serialize(response))

    async def _answer(self, calls: Sequence[GatheredCall]) -> None:
        failure = await outcome_of(self._each(calls)) or _Untold()
        for call in calls:  # those that were told already are over
            call.end_untold(failure)


class _Untold(Exception):  # noqa: N818  # for the log
    """What answers many has forgotten one."""


class GatheredCall:
    """
    One of them: in hand until it is answered, late, or left.

    Attributes:
        message: What is asked.
        ctx: By whom.
    """

    __slots__ = (
        "_began",
        "_call",
        "_gathered",
        "_is_bounded",
        "_is_in_hand",
        "_layer",
        "_work",
        "ctx",
        "message",
        "tick",
        "until",
    )

    def __init__(self, gathered: GatheredRpc, call: FrontCall, began: float) -> None:
        self.message: Any = None
        self.ctx: RequestContext
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
        """Whether it still waits: it was not answered, has not left, and is not too late."""
        return not self._call.is_over

    def admit(self, request: bytes) -> bool:
        """Whether it is to be answered with others; else it is refused, or answered by itself."""
        rpc, gate, call = self._gathered.rpc, self._gathered.gate, self._call
        if call.is_over:
            rpc.count_left()
            return False
        try:
            gate.calls.take()
            self._is_in_hand = True
            self._layer = TOKEN
            ctx = gate.admit_known(rpc.access, cast("Call", call))
            if ctx is None:
                self._let_go()
                self._gathered.alone(request, call)
                return False
            self.ctx = ctx
            self._layer = BOUNDS
            self.message = rpc.parse(request)
            self._layer = rpc.layer
            call.left = self._left
            self._bound(gate.bounds, ctx.remaining_s)
        except Exception as error:  # noqa: BLE001  # the boundary: everything gets a reason
            self.tell(error)
            return False
        return True

    def tell(self, outcome: Any) -> None:  # noqa: ANN401
        """Answer it with *outcome*, as it is written, or with the error, unless it is over."""
        if self._call.is_over:
            return
        try:
            if isinstance(outcome, Exception):
                self._refuse(outcome)
            else:
                self._call.answer(self._gathered.write(outcome))
                self._gathered.rpc.count_answered(time.perf_counter() - self._began)
        except Exception as error:  # noqa: BLE001  # it is this caller's, and nobody else's
            self._refuse(error)
        finally:
            self._let_go()

    def answer_apart(self, work: Work) -> None:
        """Answer it with what *work* gives or raises; that is cancelled once it waits no more."""
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

"""
The batcher where traces are on: each draw's trace has a span of the script call that drew it.

One call draws for many, each of which is part of a trace of its own. So each has its own span of
the call, with the name of the batch, by which they are found together. A span that is shared, with
a link to each, would be in the trace of one of them, and would have more links than a span may.
"""

import asyncio
import time
from collections.abc import Sequence
from random import getrandbits
from typing import Any

from services.common.traces.local import CURRENT, LocalTrace, StepKind, TraceStep, Value
from services.common.traces.switch import pipeline
from services.draw.batcher import Batcher, WaitingDraw
from services.pool.rule.terms import Drawing, Intent


class TracedBatcher(Batcher):
    """A Batcher that notes each script call in the traces of its draws."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # of Batcher
        super().__init__(*arguments, **options)
        self._traces: dict[asyncio.Future[Drawing], LocalTrace] = {}

    async def draw(self, pool_id: int, intents: Sequence[Intent]) -> Drawing:
        """See Batcher; which draw it was is in the trace."""
        drawing = await super().draw(pool_id, intents)
        trace = CURRENT.get()
        if trace is not None:
            first_seq = drawing.answers[0].first_seq
            trace.attributes.update({"kuji.pool_id": pool_id, "kuji.seq": first_seq})
        return drawing

    def _enqueue(self, pool_id: int, intents: Sequence[Intent]) -> WaitingDraw:
        waiting = super()._enqueue(pool_id, intents)
        trace = CURRENT.get()
        if trace is not None:
            self._traces[waiting.done] = trace
            waiting.done.add_done_callback(lambda done: self._traces.pop(done, None))
        return waiting

    async def _run(self, pool_id: int, batch: list[WaitingDraw]) -> None:
        traces = [self._traces.get(waiting.done) for waiting in batch]
        started_ns = time.time_ns()
        await super()._run(pool_id, batch)
        ended_ns = time.time_ns()
        attributes: dict[str, Value] = {
            "db.system.name": "redis",
            "db.operation.name": "EVALSHA",
            "db.stored_procedure.name": "draw",
            "kuji.pool_id": pool_id,
            "kuji.batch.id": f"{getrandbits(64):016x}",
            "kuji.batch.draws": sum(waiting.draws for waiting in batch),
        }
        step = TraceStep("EVALSHA draw", StepKind.CLIENT, attributes, started_ns, ended_ns)
        # No draw has gone on yet: what it waited for was set in this very turn of the event loop.
        for trace, waiting in zip(traces, batch, strict=True):
            if trace is not None:
                trace.note(step._replace(has_failed=_has_failed(waiting)))


def _has_failed(waiting: WaitingDraw) -> bool:
    done = waiting.done
    return done.cancelled() or (done.done() and done.exception() is not None)


def batcher_class() -> type[Batcher]:
    """Of this process."""
    return Batcher if pipeline() is None else TracedBatcher

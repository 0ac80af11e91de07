"""A run: workers that call until there are no numbers left, or the time is over."""

import asyncio
import itertools
import signal
import time
from dataclasses import dataclass
from typing import Any

import grpc

from ops.ghz.busy import BusyClock, Busyness
from ops.ghz.call_data import CallData, CallNumber
from ops.ghz.calls import Begin, caller_of
from ops.ghz.channels import open_channel
from ops.ghz.crew import crew_changes
from ops.ghz.debug_log import DebugLog
from ops.ghz.descriptors import find_method
from ops.ghz.dispenser import Dispenser
from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions
from ops.ghz.outcomes import CUT_OFF, Outcome
from ops.ghz.pacing import pacer_of
from ops.ghz.payloads import MetadataSource, Payloads
from ops.ghz.statistics import CallResult, Tallies

_MOST_OPEN = 10_000  # calls that wait for an answer at once, with --async
_CLOSE_S = 10.0


@dataclass(frozen=True)
class FinishedRun:
    """What a run gave: "normal", "timeout" or "cancel", how long it took, and the tallies."""

    end_reason: str
    total_ns: int
    tallies: Tallies
    busyness: Busyness


async def run(options: GhzOptions) -> FinishedRun:
    """
    Make the calls that *options*, which were checked, ask for.

    Raises:
        OperatorError: The method or the data cannot be had.
    """
    channel = open_channel(options)
    try:
        method = await find_method(options, channel)
    finally:
        await _close(channel)
    call_data = CallData(method)
    payloads = Payloads(options, method, call_data)
    metadata = MetadataSource(options, call_data)
    channels = [open_channel(options) for _ in range(options.connections)]
    callers = [caller_of(options, method, payloads, each) for each in channels]
    with DebugLog(options.debug) as log:
        crew = _Crew(options, callers, metadata, log)
        try:
            return await crew.work()
        finally:
            await asyncio.gather(*[_close(each) for each in channels])


def _first_of(failure: BaseException) -> BaseException:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


async def _close(channel: grpc.aio.Channel) -> None:
    async with asyncio.timeout(_CLOSE_S):
        await channel.close(None)


@dataclass(eq=False)
class _CrewMember:
    name: str
    begin: Begin
    task: asyncio.Task[None] | None = None
    is_active: bool = True


class _Crew:
    """The workers of one run."""

    def __init__(
        self, options: GhzOptions, callers: list[Begin], metadata: MetadataSource, log: DebugLog
    ) -> None:
        self._options, self._metadata, self._log = options, metadata, log
        self._tallies = Tallies(skip=options.skip_first)
        self._callers = itertools.cycle(enumerate(callers))
        self._members: list[_CrewMember] = []
        self._open: set[Any] = set()
        self._cut_off: bool = False
        self._end_reason = "normal"
        self._places = asyncio.Semaphore(_MOST_OPEN)

    async def work(self) -> FinishedRun:
        """All calls of the run."""
        loop = asyncio.get_running_loop()
        began_ns, clock = time.perf_counter_ns(), BusyClock()
        self._dispenser = Dispenser(pacer_of(self._options), self._options.total)
        timer = None
        if self._options.duration:
            timer = loop.call_later(self._options.duration / NS_PER_S, self._stop, "timeout")
        loop.add_signal_handler(signal.SIGINT, self._stop, "cancel")
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._change())
        except BaseExceptionGroup as failures:
            raise _first_of(failures) from None
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if timer is not None:
                timer.cancel()
        total_ns = time.perf_counter_ns() - began_ns
        return FinishedRun(self._end_reason, total_ns, self._tallies, clock.read())

    def _stop(self, reason: str) -> None:
        """No more calls; open ones are cut off, unless they are waited for."""
        self._end_reason = reason
        self._dispenser.stop()
        if self._options.duration_stop != "wait":
            self._cut_off = True
            for call in list(self._open):
                call.cancel()

    async def _change(self) -> None:
        """Keep as many workers as the schedule says, until they have nothing to do."""
        began = time.perf_counter_ns()
        for change in crew_changes(self._options):
            wait_s = (began + change.at_ns - time.perf_counter_ns()) / NS_PER_S
            if wait_s > 0 and await self._are_done(wait_s):
                return
            for _ in range(change.delta):
                self._hire()
            active = (each for each in self._members if each.is_active)
            for member in list(itertools.islice(active, max(0, -change.delta))):
                member.is_active = False

    async def _are_done(self, seconds: float) -> bool:
        """Wait that long; sooner and True where there are no numbers left."""
        ends_at = asyncio.get_running_loop().time() + seconds
        while not self._dispenser.is_over:
            left_s = ends_at - asyncio.get_running_loop().time()
            if left_s <= 0:
                return False
            await asyncio.sleep(min(left_s, 0.05))
        return True

    def _hire(self) -> None:
        connection, begin = next(self._callers)
        name = f"g{len(self._members)}c{connection}"
        if self._options.name:
            name = f"{self._options.name}:{name}"
        member = _CrewMember(name, begin)
        self._members.append(member)
        member.task = self._group.create_task(self._call_on(member))

    async def _call_on(self, member: _CrewMember) -> None:
        while member.is_active and (number := await self._dispenser.next()) is not None:
            call = CallNumber(number, member.name)
            if not self._options.asynchronous:
                await self._call(member.begin, call)
                continue
            await self._places.acquire()
            task = self._group.create_task(self._call(member.begin, call))
            task.add_done_callback(lambda _: self._places.release())
            await asyncio.sleep(0)

    async def _call(self, begin: Begin, number: CallNumber) -> None:
        metadata = self._metadata.of(number)
        began_ns = time.perf_counter_ns()
        call, end = begin(number, metadata)
        self._open.add(call)
        try:
            outcome = await end
        except asyncio.CancelledError:
            if not self._cut_off:
                raise
            outcome = CUT_OFF
        finally:
            self._open.discard(call)
        self._note(outcome, time.perf_counter_ns() - began_ns)

    def _note(self, outcome: Outcome, latency_ns: int) -> None:
        status, error = outcome
        if self._cut_off and status in {"Canceled", CUT_OFF[0]}:
            if self._options.duration_stop == "ignore":
                return
            status, error = CUT_OFF
        result = CallResult(time.time_ns(), latency_ns, status, error)
        self._tallies.add(result)
        self._log.note(result)

"""P1: what a draw costs each part of a whole stack in CPU time, and on what."""

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.parts import MODULES
from tests.bench import machine, parts
from tests.bench.figures import Figure, Step
from tests.bench.profile.sampling import SamplerError, Shares, native_shares, python_shares
from tests.bench.scale import Scale
from tests.bench.servers import Bench
from tests.bench.whole.jobs import Face, WholeJob
from tests.bench.whole.stack import FOUR_PRIZES, MeasuredActivity, whole_stack

_IN_FLIGHT = 64
_FACES: dict[Face, str] = {"json": "by JSON through the edge", "grpc": "by gRPC at the service"}
_NATIVE = ("envoy", "valkey", "postgres")
_TRANSPORT = "loop, transport"
_LEAST_SHOWN = 0.5  # microseconds


@dataclass(frozen=True)
class _Cost:
    """CPU of a draw in microseconds, until it is recorded: by part, by part of grpc's threads."""

    all_us: Mapping[str, float]
    grpc_us: Mapping[str, float]
    generator_us: float

    @property
    def total_us(self) -> float:
        return sum(self.all_us.values())


async def measure(bench: Bench, scale: Scale, step: Step) -> list[Figure]:
    """A figure for each face; two steps for each."""
    whole = await whole_stack(bench, scale.players)
    activity = await whole.open_activity(FOUR_PRIZES)
    return [await _figure(activity, face, scale, step) for face in _FACES]


async def _figure(activity: MeasuredActivity, face: Face, scale: Scale, step: Step) -> Figure:
    job = WholeJob(face, "", "", "", in_flight=_IN_FLIGHT, seconds=scale.profile_s)
    cost = await _cost(activity, job)
    step(f"P1 {face}, cost")
    drawing = asyncio.create_task(activity.draw(job))
    shares, reasons = await _sampled(activity, scale.profile_s)
    await drawing
    step(f"P1 {face}, samples")
    lines = [_line(face, part, us, cost, shares.get(part)) for part, us in _dearest(cost.all_us)]
    return Figure(
        "P1",
        f"CPU of a draw {_FACES[face]}, all parts",
        f"{cost.total_us:,.0f} us",
        f"the generator: {cost.generator_us:,.0f} us",
        None,
        "",
        True,
        [*lines, *(f"{face}: not looked into: {reason}" for reason in reasons)],
    )


async def _cost(activity: MeasuredActivity, job: WholeJob) -> _Cost:
    """Without samplers, which cost something themselves."""
    whole = activity.whole
    pids = parts.pids_of(whole.under_test)
    before, grpc_before = parts.cpu_s(pids), _grpc_threads_s(pids)
    tally = await activity.do(job)
    await whole.system.wait_until_recorded(activity.pool_id)
    used, grpc_used = parts.used_since(pids, before), _grpc_threads_s(pids)
    await activity.check()
    return _Cost(
        {part: used_s / tally.calls * 1e6 for part, used_s in used.items()},
        {part: (grpc_used[part] - grpc_before[part]) / tally.calls * 1e6 for part in grpc_used},
        tally.cpu_s / tally.calls * 1e6,
    )


def _grpc_threads_s(pids: parts.Pids) -> dict[str, float]:
    """Of each Python part the CPU of threads that run no Python: they are grpc's own."""
    return {
        part: machine.threads_cpu_s(pid, lambda name: not name.startswith("python"))
        for part, pid in pids.items()
        if part in MODULES
    }


async def _sampled(
    activity: MeasuredActivity, seconds: float
) -> tuple[dict[str, Shares], list[str]]:
    """Part → what it is at; and why some parts are missing."""
    pids = parts.pids_of(activity.whole.under_test)
    with tempfile.TemporaryDirectory(prefix="kuji-profile-") as name:
        looks = {
            part: python_shares(pid, seconds, Path(name))
            for part, pid in pids.items()
            if part in MODULES
        }
        looks |= {
            part: native_shares(part, _family(part, pids[part]), seconds, Path(name))
            for part in _NATIVE
        }
        found = await asyncio.gather(*looks.values(), return_exceptions=True)
    shares, reasons = {}, []
    for part, one in zip(looks, found, strict=True):
        if isinstance(one, SamplerError):
            reasons.append(f"{part}, {one}")
        elif isinstance(one, BaseException):
            raise one
        else:
            shares[part] = one
    return shares, reasons


def _family(part: str, pid: int) -> list[int]:
    return [pid, *machine.children(pid)] if part == "postgres" else [pid]


def _dearest(us: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(
        ((part, used) for part, used in us.items() if used >= _LEAST_SHOWN),
        key=lambda one: -one[1],
    )


def _line(face: Face, part: str, us: float, cost: _Cost, shares: Shares | None) -> str:
    threads_us = min(us, cost.grpc_us.get(part, 0.0))
    spent = {subject: share * (us - threads_us) for subject, share in (shares or {}).items()}
    if threads_us:
        spent[_TRANSPORT] = spent.get(_TRANSPORT, 0.0) + threads_us
    told = ", ".join(f"{subject} {used:.0f}" for subject, used in _dearest(spent))
    return f"{face}, {part} {us:.0f} us: {told}" if told else f"{face}, {part} {us:.0f} us"

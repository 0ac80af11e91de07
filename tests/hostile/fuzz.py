"""
`make fuzz`: very many messages made at random, to every RPC and every route of a stack of its own.

It ends by itself after so many calls, or with what was told that is never true, or who grew.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from ops.terminal import out, rate_progress
from stack.edge.contract import Route, services
from tests.hostile.requester import ENDS_THE_SESSION, ROUTES, Requester, told_by
from tests.hostile.target import Target, open_target
from tests.support.stacks import StackUnderTest
from tests.support.strangers import Stranger

_CALLERS = 32
_LOOKED_AT_EVERY = 10_000
_STREAMED = 0.002  # of the calls of a stream, which take a second: it has no end
_PROBLEMS = 20  # then it stops
# Whose memory is not the data's: that of the stores is what the calls have written.
_STATELESS = ("auth", "draw", "admin", "history", "recorder", "edge", "envoy")
_GROWTH_BYTES = 128 << 20
_ENVIRONMENT = {
    "KUJI_STRICT_CONTRACT": "true",
    "KUJI_ACCESS_TOKEN_TTL_S": "86400",
    "KUJI_SERVICE_TOKEN_TTL_S": "86400",
    "KUJI_ARGON2_MEMORY_KIB": "64",  # else most of the time goes into hashes
}


@dataclass
class Fuzz:
    """
    Calls, and what became of them.

    Args:
        calls: How many there are to be.
    """

    target: Target
    calls: int
    seed: int
    told: Counter[str] = field(default_factory=Counter)
    unavailable: Counter[str] = field(default_factory=Counter)
    untrue: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    done: int = 0
    begun: int = 0

    async def run(self) -> None:
        """Make them all, or stop at too many problems."""
        with rate_progress() as bars:
            bar = bars.add_task("calls", total=self.calls)
            async with asyncio.TaskGroup() as tasks:
                for number in range(_CALLERS):
                    tasks.create_task(self._call_on(_Caller(self.target, self.seed + number)))
                tasks.create_task(self._show(bars, bar))

    async def _show(self, bars: Any, bar: Any) -> None:
        while self.done < self.calls and len(self.untrue) < _PROBLEMS:
            bars.update(bar, completed=self.done)
            await asyncio.sleep(0.5)
        bars.update(bar, completed=self.done)

    async def _call_on(self, caller: "_Caller") -> None:
        while self.begun < self.calls and len(self.untrue) < _PROBLEMS:
            self.begun += 1
            started = time.monotonic()
            name, told = await caller.call()
            self.slowest = max(self.slowest, (time.monotonic() - started, f"{name}: {told}"))
            self.done += 1
            self.told[told] += 1
            if told == "UNAVAILABLE":
                self.unavailable[name] += 1
            if told == "INTERNAL" or told.startswith("bare"):
                self.untrue.append(f"{name}: {told}")


class _Caller:
    """Makes one call after the other, half of them over gRPC."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._strangers = [Stranger(seed, target.known, is_wild=wild) for wild in (False, True)]
        self._requesters = {route.name: Requester(route, target, seed) for route in ROUTES}
        rpcs = [rpc for service in services() for rpc in service.methods]
        self._rpcs = [rpc for rpc in rpcs if rpc.name not in ENDS_THE_SESSION]

    async def call(self) -> tuple[str, str]:
        """What was called, and what was told."""
        if self._random.random() < 0.5:
            route = self._random.choice(ROUTES)
            return route.name, await self._request(route)
        rpc = self._random.choice(self._rpcs)
        if rpc.server_streaming and self._random.random() > _STREAMED:
            return await self.call()
        return rpc.full_name, await self._target.told(rpc, self._content(rpc))

    async def _request(self, route: Route) -> str:
        try:
            return await told_by(self._target, route, self._requesters[route.name].request())
        except Exception as error:  # noqa: BLE001  # whatever it is, it is no answer
            return f"bare {error!r}"

    def _content(self, rpc: MethodDescriptor) -> bytes:
        stranger = self._random.choice(self._strangers)
        chance = self._random.random()
        if chance < 0.1:
            return stranger.noise()
        message = stranger.message(rpc.input_type)
        return stranger.spoilt(message) if chance < 0.3 else message.SerializeToString()


def _grown(before: dict[str, int], after: dict[str, int]) -> Iterator[str]:
    for name, size in after.items():
        more = size - before.get(name, 0)
        if name.startswith(_STATELESS) and more > _GROWTH_BYTES:
            yield f"{name} has grown by {more >> 20} MiB"


async def _fuzz(stack: StackUnderTest, calls: int, seed: int) -> int:
    async with stack.running_beside(), open_target(stack) as target:
        warm = Fuzz(target, min(calls // 10, _LOOKED_AT_EVERY), seed)
        await warm.run()
        before, pids = target.memory(), stack.pids()
        fuzz = Fuzz(target, calls - warm.calls, seed + _CALLERS)
        started = time.monotonic()
        await fuzz.run()
        took_s = time.monotonic() - started
        after = target.memory()
        died = [name for name, pid in stack.pids().items() if pids.get(name) != pid]
    problems = [*warm.untrue, *fuzz.untrue, *_grown(before, after)]
    problems += [f"{name} died" for name in died]
    out.print(f"{fuzz.done / took_s:,.0f} calls a second; what was told:")
    out.print(json.dumps(dict((warm.told + fuzz.told).most_common()), indent=2))
    out.print(f"UNAVAILABLE: {dict(fuzz.unavailable)}", markup=False)
    out.print(f"slowest: {fuzz.slowest[0]:.1f} s, {fuzz.slowest[1]}", markup=False)
    grew = {name: (size - before.get(name, 0)) >> 20 for name, size in after.items()}
    out.print("MiB more: " + json.dumps(grew))
    for problem in problems:
        out.print(f"✗ {problem}", markup=False)
    return bool(problems)


def main() -> int:
    """Run, and say how it went; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another makes others (%(default)s)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kuji-fuzz-") as home:  # on disk: it becomes large
        stack = StackUnderTest(Path(home), _ENVIRONMENT)
        return asyncio.run(_fuzz(stack, chosen.calls, chosen.seed))


if __name__ == "__main__":
    sys.exit(main())

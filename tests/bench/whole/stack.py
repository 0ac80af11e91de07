"""A whole stack under measurement, its players, and the activities that they draw from."""

import asyncio
import itertools
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.progress import Progress

from demo.activities import Prize, open_activity
from demo.system import System, open_system
from ops.connections import read_endpoints
from stack.processes import ROOT
from tests.bench.pools import BooksError
from tests.bench.servers import Bench, check_durable
from tests.bench.whole.jobs import WholeJob, WholeTally, whole_tally_of
from tests.load.preparation import make_players
from tests.load.verdict import judge
from tests.support.stacks import StackUnderTest

_PLENTY = 1_000_000
FOUR_PRIZES = ((_PLENTY, 0.025),) * 4  # one draw in ten wins
_CONNECTIONS = 4
_LONGEST_LINE = 64 * 1024 * 1024
_STOP_TIMEOUT_S = 5.0
_names = itertools.count(1)


class WholeStack:
    """
    A stack with nothing but players.

    Args:
        under_test: Its processes.
        system: Its faces and stores.
        folder: For tokens and answers.
        tokens: File with a token of each player.
        generator: The generator's process.
    """

    def __init__(
        self,
        under_test: StackUnderTest,
        system: System,
        folder: Path,
        tokens: Path,
        generator: Process,
    ) -> None:
        self.under_test = under_test
        self.system = system
        self.folder = folder
        self._tokens = tokens
        self._generator = generator

    @property
    def edge(self) -> str:
        """host:port of the edge."""
        return urlsplit(self.system.endpoints.edge).netloc

    @property
    def generator_pid(self) -> int:
        """Process id of the generator."""
        return self._generator.pid

    async def do(self, job: WholeJob) -> WholeTally:
        """
        Let the generator do *job*, whose target, name, and tokens are seen to here.

        Raises:
            BooksError: A call failed: what it drew is not known.
        """
        told = replace(
            job,
            target=self.system.endpoints.grpc["draw"] if job.face == "grpc" else self.edge,
            name=job.name or f"w{next(_names)}",
            tokens="" if job.face == "list" else str(self._tokens),
        )
        assert self._generator.stdin is not None
        assert self._generator.stdout is not None
        self._generator.stdin.write(f"{told.to_json()}\n".encode())
        line = await self._generator.stdout.readline()
        if not line:
            raise RuntimeError(f"the generator ended on {told}")
        tally = whole_tally_of(line.decode())
        if tally.failures:
            raise BooksError(f"calls failed: {tally.failures}")
        return tally

    async def open_activity(self, offers: Sequence[tuple[int, float]]) -> "MeasuredActivity":
        """An ongoing activity with *offers*: a prize's units, and how likely it is."""
        prizes = [Prize(f"Prize {number}", *offer) for number, offer in enumerate(offers, start=1)]
        settings: dict[str, object] = {"name": f"measured {next(_names)}"}
        token = await self.system.log_in()
        opened = await open_activity(self.system.edge, token, prizes, settings)
        folder = self.folder / str(opened.activity_id)
        folder.mkdir()
        return MeasuredActivity(self, opened.activity_id, opened.pool_id, folder)


@dataclass(frozen=True)
class MeasuredActivity:
    """
    An ongoing activity of a whole stack.

    Args:
        folder: Where the answers to its draws are.
    """

    whole: WholeStack
    activity_id: int
    pool_id: int
    folder: Path

    async def draw(self, job: WholeJob) -> WholeTally:
        """
        Let the generator do *job* here, and compare all answers until now with what is recorded.

        Raises:
            BooksError: A call failed, or the rows in Postgres are not the answers.
        """
        tally = await self.do(job)
        await self.check()
        return tally

    async def do(self, job: WholeJob) -> WholeTally:
        """The same without the comparison."""
        return await self.whole.do(
            replace(job, activity_id=self.activity_id, folder=str(self.folder))
        )

    async def check(self) -> None:
        """
        Compare all answers until now with what is recorded.

        Raises:
            BooksError: A draw is missing, is there unasked, differs, or the books do not balance.
        """
        verdict = await judge(self.whole.system, [self.pool_id], self.folder)
        if verdict.findings or verdict.unheard:
            raise BooksError(
                f"activity {self.activity_id}: {verdict.unheard} rows that nobody was told of, "
                f"{[*map(str, verdict.findings)]}"
            )


async def whole_stack(bench: Bench, players: int) -> WholeStack:
    """The one that all measurements of *bench* share; there from the first call on."""
    if bench.whole is None:
        bench.whole = await bench.exits.enter_async_context(open_whole(bench, players))
    assert isinstance(bench.whole, WholeStack)
    return bench.whole


@asynccontextmanager
async def open_whole(bench: Bench, players: int) -> AsyncIterator[WholeStack]:
    """
    A stack of *bench* with so many players.

    Raises:
        NotDurableError: A store of it does not keep what it acknowledges.
        StackError: It does not start.
    """
    async with bench.stack() as stack:
        endpoints = read_endpoints(stack.home)
        async with (
            open_system(endpoints, _CONNECTIONS, Progress(disable=True)) as system,
            _generator() as generator,
        ):
            await check_durable(system.stores.redis, system.stores.postgres)
            folder = stack.home / "measured"
            folder.mkdir()
            tokens = await make_players(stack.home, players, folder)
            yield WholeStack(stack, system, folder, tokens, generator)


@asynccontextmanager
async def _generator() -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.whole.generator"),
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
        limit=_LONGEST_LINE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await process.wait()

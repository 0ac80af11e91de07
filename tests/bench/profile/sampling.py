"""Samples of running processes: py-spy of Python's, perf of the others."""

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.bench.profile.subjects import subject_of, subject_of_symbol

Shares = Mapping[str, float]  # subject → share of a part's time
_PER_S = 97  # in step with nothing
_NATIVE_PER_S = 499
_LATE_S = 60.0  # until a sampler has written what it has


class SamplerError(Exception):
    """There are no samples; why."""


async def python_shares(pid: int, seconds: float, folder: Path) -> Shares:
    """
    What the Python threads of *pid* are at for so long.

    Raises:
        SamplerError: py-spy is not here, or may not look.
    """
    py_spy = Path(sys.executable).with_name("py-spy")
    if not py_spy.exists():
        raise SamplerError("py-spy is not installed: make setup")
    file = folder / f"{pid}.folded"
    # Non-blocking: the process is not stopped for each sample; a torn stack is left out.
    await _run(
        *(str(py_spy), "record", "--pid", str(pid), "--nonblocking", "--format", "raw"),
        *("--rate", str(_PER_S), "--duration", str(max(1, round(seconds))), "--output", str(file)),
        seconds=seconds,
    )
    return shares_of_stacks(file.read_text("utf-8"))


def shares_of_stacks(folded: str) -> Shares:
    """From "outermost;…;innermost count" a line."""
    counted: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if subject := subject_of(stack.split(";")):
            counted[subject] += int(count)
    return _shares(counted)


async def native_shares(part: str, pids: list[int], seconds: float, folder: Path) -> Shares:
    """
    What *part*, the processes *pids*, is at for so long.

    Raises:
        SamplerError: perf is not here, or may not look.
    """
    if shutil.which("perf") is None:
        raise SamplerError("perf is not here (Debian's linux-perf)")
    file = folder / f"{part}.perf"
    await _run(
        *("perf", "record", "-q", "-F", str(_NATIVE_PER_S), "-o", str(file)),
        *("-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)),
        seconds=seconds,
    )
    told = await _run("perf", "script", "-i", str(file), "-F", "ip,sym,dso", seconds=seconds)
    return shares_of_symbols(part, told)


def shares_of_symbols(part: str, script: str) -> Shares:
    """From "address symbol (object file)" a line."""
    counted: Counter[str] = Counter()
    for line in script.splitlines():
        _, _, rest = line.strip().partition(" ")
        symbol, _, place = rest.rpartition(" (")
        if place:
            name = place.rstrip(")").rpartition("/")[2]
            counted[subject_of_symbol(part, f"{name} {symbol}")] += 1
    return _shares(counted)


def _shares(counted: Mapping[str, int]) -> Shares:
    total = sum(counted.values())
    return {subject: count / total for subject, count in counted.items()}


async def _run(*command: str, seconds: float) -> str:
    """
    What *command* prints.

    Raises:
        SamplerError: It failed, or does not come to its end.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(seconds + _LATE_S):
            out, err = await process.communicate()
    except TimeoutError as error:
        raise SamplerError(f"{command[0]} does not end") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        raise SamplerError(f"{Path(command[0]).name}: {lines[-1] if lines else 'failed'}")
    return out.decode(errors="replace")

"""What the parts of a whole stack use: CPU time and memory of each."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.bench import machine
from tests.support.stacks import StackUnderTest

_POSTGRES = "postgres"  # many processes; the supervisor's children are the other parts
_MIB_OF_KB = 1 / 1024

Pids = Mapping[str, int]


def pids_of(stack: StackUnderTest) -> Pids:
    """Part → its process, the supervisor among them."""
    pids = stack.pids()
    return {**pids, "supervisor": machine.parent(pids["draw"])}


def cpu_s(pids: Pids) -> dict[str, float]:
    """Part → CPU time until now, seconds."""
    return {
        part: machine.family_cpu_s(pid) if part == _POSTGRES else machine.cpu_s(pid)
        for part, pid in pids.items()
    }


def used_since(pids: Pids, before: Mapping[str, float]) -> dict[str, float]:
    """Part → CPU time since it was *before*, seconds."""
    return {part: now - before[part] for part, now in cpu_s(pids).items()}


def memory_mib(pids: Pids) -> dict[str, float]:
    """Part → MiB in memory. Of Postgres's processes, pages that they share count once."""
    return {
        part: _shared_out_mib(pid) if part == _POSTGRES else _resident_mib(pid)
        for part, pid in pids.items()
    }


def _resident_mib(pid: int) -> float:
    return _kb(Path(f"/proc/{pid}/status"), "VmRSS:") * _MIB_OF_KB


def _shared_out_mib(pid: int) -> float:
    kb = 0
    for one in (pid, *machine.children(pid)):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            kb += _kb(Path(f"/proc/{one}/smaps_rollup"), "Pss:")
    return kb * _MIB_OF_KB


def _kb(file: Path, name: str) -> int:
    lines = file.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)

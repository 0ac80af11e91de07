"""The machine under the measurements: what it is, and what its processes use."""

import os
from collections.abc import Callable
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU time of a process and its threads, seconds, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def parent(pid: int) -> int:
    """The process that started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def load() -> float:
    """Runnable processes, the last minute's average."""
    return os.getloadavg()[0]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")


def family_cpu_s(pid: int) -> float:
    """CPU time of a process and its living and ended children, seconds."""
    while True:
        own_s = cpu_s(pid) + _ended_children_s(pid)
        try:
            return own_s + sum(map(cpu_s, children(pid)))
        except (FileNotFoundError, ProcessLookupError):
            continue  # a child has just ended: its time is its parent's now


def threads_cpu_s(pid: int, is_one: Callable[[str], bool]) -> float:
    """CPU time of those threads of a process whose names *is_one* takes, seconds."""
    ticks = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, _, fields = (task / "stat").read_text().partition("(")[2].rpartition(")")
        except FileNotFoundError:
            continue  # it has ended
        if is_one(name):
            user, system = fields.split()[11:13]
            ticks += int(user) + int(system)
    return ticks / _TICKS_PER_S


def children(pid: int) -> list[int]:
    """The processes that it started and that live."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _ended_children_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICKS_PER_S

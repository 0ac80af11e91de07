"""What runs in a stack, and how it is: each part is asked itself, and has seconds to answer."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.common.postgres import load_queries
from stack.home import Home
from stack.probes import http_get, http_get_from_socket

_TIMEOUT_S = 3.0
_LOW_DISK_BYTES = 64 << 20
_queries = load_queries(__file__)


class PartStatus(NamedTuple):
    """
    One part.

    Args:
        name: As the operator knows it.
        pid: Its process id; None: it is not ours to run.
        is_well: Whether it does its work.
        state: What is to be said of it.
    """

    name: str
    pid: int | None
    is_well: bool
    state: str


class Status(NamedTuple):
    """
    A whole stack.

    Args:
        parts: Each part.
        notes: What concerns all of it.
        is_well: Whether nothing has to be done.
    """

    parts: list[PartStatus]
    notes: list[str]
    is_well: bool


class _Answer(NamedTuple):
    is_well: bool
    text: str


async def ask(home: Home) -> Status:
    """How the stack in *home* is; it runs, as its files say."""
    endpoints: dict[str, Any] = json.loads(home.endpoints_file.read_text("utf-8"))
    pids: dict[str, int] = json.loads(home.pids_file.read_text("utf-8"))
    questions = _questions(home, endpoints)
    answers = await asyncio.gather(*(_bounded(question) for question in questions.values()))
    parts = [
        _status(name, pids.get(name), answer)
        for name, answer in zip(questions, answers, strict=True)
    ]
    disk, is_roomy = _disk(home.folder)
    notes = [disk, f"Kuji {version('kuji-platform')}"]
    return Status(parts, notes, is_roomy and all(part.is_well for part in parts))


def _questions(
    home: Home, endpoints: Mapping[str, Any]
) -> dict[str, Callable[[], Awaitable[_Answer]]]:
    def ask_service(name: str) -> Callable[[], Awaitable[_Answer]]:
        return lambda: _service(home, endpoints["metrics"][name], name)

    services = {name: ask_service(name) for name in endpoints["metrics"] if name != "recorder"}
    return {
        "valkey": lambda: _redis(endpoints["redis"]),
        "postgres": lambda: _postgres(endpoints["postgres"]),
        **services,
        "recorder": lambda: _recorder(endpoints["metrics"]["recorder"]),
        "envoy": lambda: _edge(home, endpoints["edge"], endpoints.get("edge_certificate")),
    }


async def _bounded(question: Callable[[], Awaitable[_Answer]]) -> _Answer:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await question()
    except TimeoutError:
        return _Answer(False, "does not answer")
    except Exception as error:  # noqa: BLE001  # whatever it says: it is not well
        return _Answer(False, f"does not answer: {str(error) or type(error).__name__}")


def _status(name: str, pid: int | None, answer: _Answer) -> PartStatus:
    kernels = "" if pid is None else _state_of(pid)
    if not kernels:
        return PartStatus(name, pid, *answer)
    return PartStatus(name, pid, False, kernels)


def _state_of(pid: int) -> str:
    """Why the process cannot be at work; empty: it can."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return "dead"
    return {"T": "frozen", "t": "frozen", "Z": "dead"}.get(state, "")


async def _redis(url: str) -> _Answer:
    async with Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        info: Mapping[str, Any] = await client.info()
    release = info.get("valkey_version") or info["redis_version"]
    return _Answer(True, f"{release}, {info['used_memory_human']}B")


async def _postgres(dsn: str) -> _Answer:
    connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    try:
        row = await _queries.describe(connection)
    finally:
        connection.terminate()
    halted = row["halted_pools"]
    told = f"{row['release']}, {row['size']}"
    return _Answer(not halted, f"{told}, {halted} pools halted" if halted else told)


async def _service(home: Home, metrics: str, name: str) -> _Answer:
    """Envoy asks each service for its health; whether it answers at all, its metrics say."""
    _, measured = await http_get(metrics)
    if behind := sum(_samples(measured, "kuji_draw_pools_behind")):
        return _Answer(False, f"Redis is older than what was answered, in {behind:.0f} pools")
    cluster = name.partition("-")[0]
    _, text = await http_get_from_socket(home.folder / "envoy" / "admin.sock", "/clusters")
    flags = [line for line in text.splitlines() if line.startswith(f"{cluster}::")]
    ill = [line for line in flags if "::health_flags::" in line and not line.endswith("::healthy")]
    return _Answer(not ill, "serves" if not ill else "its health check fails")


async def _recorder(metrics: str) -> _Answer:
    _, text = await http_get(metrics)
    draws = sum(_samples(text, "kuji_recorder_lag_draws"))
    oldest_s = max([0.0, *_samples(text, "kuji_recorder_lag_seconds")])
    return _Answer(True, f"{draws:,.0f} draws behind, the oldest {oldest_s:.1f} s")


def _samples(text: str, name: str) -> list[float]:
    families = text_string_to_metric_families(text)
    return [one.value for family in families for one in family.samples if one.name == name]


async def _edge(home: Home, url: str, certificate: str | None) -> _Answer:
    status, _ = await http_get(f"{url}/healthz", Path(certificate) if certificate else None)
    _, text = await http_get_from_socket(home.folder / "envoy" / "admin.sock", "/server_info")
    release = json.loads(text)["version"].split("/")[1]
    return _Answer(status == 200, f"{release}, serves {url}" if status == 200 else "not healthy")


def _disk(folder: Path) -> tuple[str, bool]:
    usage = shutil.disk_usage(folder)
    free, total = usage.free / 2**30, usage.total / 2**30
    return f"{free:,.1f} of {total:,.1f} GiB free in {folder}", usage.free >= _LOW_DISK_BYTES

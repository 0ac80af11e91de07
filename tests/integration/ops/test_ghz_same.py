"""One file runs in ghz and in `kuji ghz`: same counts, same shape, percentiles within noise."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.ghz.checks import checked
from ops.ghz.command_line import read_options
from ops.ghz.reports.formats import WRITERS
from ops.ghz.reports.report import report_of
from ops.ghz.runner import run
from stack.processes import ROOT
from tests.load.ghz.record import CONFIGURATIONS, HERE, TOOLS, reference, run_ghz
from tests.support.ghz.facts import fact, shape
from tests.support.ghz.processes import running_echo

# The server's answers take 100 ms and more, so that what the generators add is small.
NOISE_NS = 90_000_000
_RUNS = 4  # of which one is within noise: a busy machine holds up either
_COUNTED: dict[str, Any] = {"errorDistribution": {}}  # compared above


def _problem() -> str | None:
    """Why ghz itself cannot be had here; None where it can."""
    if (TOOLS / "reference").exists() and (TOOLS / "ghz").exists():
        return None
    if shutil.which("go") is None:
        return "Go is not installed"
    if os.environ.get("CI") != "true":
        return "ghz is not installed: make ghz-tools"
    install = ["make", "-s", "-C", str(ROOT), "ghz-tools"]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=280)
    return f"`make ghz-tools` fails: {done.stderr[-500:]}" if done.returncode else None


@pytest.fixture(scope="module")
def tools() -> None:
    """ghz itself; skipped where it cannot be had. In CI it is built, where Go is at hand."""
    if problem := _problem():
        pytest.skip(problem)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The server that both are run against."""
    with running_echo() as address:
        yield address


async def _run_ours(configuration: str, address: str) -> str:
    options = checked(read_options(["--config", str(HERE / configuration), "-Ojson", address]))
    report = report_of(options, await run(options), time.time_ns())
    return WRITERS["json"](report)


def _errors(report: Mapping[str, Any]) -> dict[str, int]:
    """How often each; a deadline is told by the client or, at the same moment, by the server."""
    found: dict[str, int] = {}
    for text, count in report["errorDistribution"].items():
        error = text.replace("desc = Deadline Exceeded", "desc = context deadline exceeded")
        found[error] = found.get(error, 0) + count
    return found


def _compare(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Counts, shape, options; percentiles within noise."""
    assert _errors(theirs) == _errors(ours)
    for name in ("count", "endReason", "statusCodeDistribution", "name"):
        assert theirs.get(name) == ours.get(name), name
    assert theirs.get("tags") == ours.get("tags")
    assert list(theirs) == list(ours)
    assert shape(theirs) | _COUNTED == shape(ours) | _COUNTED
    local = {"host", "CPUs"}
    expected = {key: value for key, value in theirs["options"].items() if key not in local}
    assert expected == {k: v for k, v in ours["options"].items() if k not in local}
    assert 11 == len(ours["histogram"])
    assert [*_percentiles(theirs)] == [*_percentiles(ours)]


def _percentiles(report: Mapping[str, Any]) -> dict[int, int]:
    return {point["percentage"]: point["latency"] for point in report["latencyDistribution"]}


def _apart_ns(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> int:
    """How far their percentiles are apart at most."""
    latencies_ns = _percentiles(ours)
    return max(abs(of_it - latencies_ns[at]) for at, of_it in _percentiles(theirs).items())


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_run_is_that_which_was_recorded_of_ghz(
    configuration: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Go: ours, now, against ghz's, then."""
    monkeypatch.chdir(ROOT)
    theirs = fact(f"{Path(configuration).stem}.json")["report"]
    apart_ns = []
    for _ in range(_RUNS):
        ours = json.loads(await _run_ours(configuration, address))
        _compare(theirs, ours)
        apart_ns.append(_apart_ns(theirs, ours))
        if apart_ns[-1] < NOISE_NS:
            return
    pytest.fail(f"percentiles are apart by {apart_ns} ns")


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_run_is_that_of_ghz_itself_and_its_reader_takes_our_report(
    configuration: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both, now, against the same server; ghz's own printer reads our JSON and writes it again."""
    monkeypatch.chdir(ROOT)
    apart_ns = []
    for _ in range(_RUNS):
        theirs = await asyncio.to_thread(run_ghz, configuration, address)
        text = await _run_ours(configuration, address)
        ours = json.loads(text)
        _compare(theirs, ours)
        again = await asyncio.to_thread(reference, "print", {"report": ours, "format": "json"})
        assert text == again
        apart_ns.append(_apart_ns(theirs, ours))
        if apart_ns[-1] < NOISE_NS:
            return
    pytest.fail(f"percentiles are apart by {apart_ns} ns")

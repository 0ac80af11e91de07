"""Locust's figures, from the files that it leaves."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Line(NamedTuple):
    """A kind of call: how many, how often a second, and how long they took, in milliseconds."""

    name: str
    calls: int
    failed: int
    per_s: float
    p50: float
    p95: float
    p99: float


def read_lines(folder: Path) -> list[Line]:
    """One for each kind of call; none where locust came to no end."""
    file = folder / "locust.json"
    if not file.exists():
        return []
    return [_line(entry) for entry in json.loads(file.read_text("utf-8"))]


def read_exceptions(folder: Path) -> list[str]:
    """What broke in the users' own code, which is no answer of Kuji's, with how often."""
    file = folder / "locust_exceptions.csv"
    if not file.exists():
        return []
    with file.open(newline="") as rows:
        return [f"{row['Message']} ({row['Count']} times)" for row in csv.DictReader(rows)]


def _line(entry: Mapping[str, Any]) -> Line:
    seconds = max(entry["last_request_timestamp"] - entry["start_time"], 1.0)
    waits = sorted((float(ms), count) for ms, count in entry["response_times"].items())
    shares = [_percentile(waits, share) for share in (0.5, 0.95, 0.99)]
    name = f"{entry['method']} {entry['name']}"
    calls: int = entry["num_requests"]
    return Line(name, calls, entry["num_failures"], calls / seconds, *shares)


def _percentile(waits: list[tuple[float, int]], share: float) -> float:
    """The shortest of *waits* (ms, how often) that *share* of them do not exceed."""
    left = share * sum(count for _, count in waits)
    for ms, count in waits:
        left -= count
        if left <= 0:
            return ms
    return 0.0

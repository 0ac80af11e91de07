"""What was recorded of ghz itself: see tests/load/ghz/record.py."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.ghz.reports.report import LoadReport
from ops.ghz.statistics import CallResult, Tallies

FACTS = Path(__file__).parents[2] / "load" / "ghz" / "facts"


def fact(name: str) -> Any:
    """What was recorded under *name*."""
    return json.loads((FACTS / name).read_text())


def ns_of(timestamp: str) -> int:
    """Of RFC 3339 with up to nine digits."""
    whole, fraction, zone = re.fullmatch(
        r"([^.]*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", timestamp
    ).groups()  # type: ignore[union-attr]
    seconds = int(datetime.fromisoformat(whole + zone).timestamp())
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def report_from(told: dict[str, Any]) -> LoadReport:
    """The same run as ghz told it, with our arithmetic."""
    tallies = Tallies()
    for each in told["details"]:
        ended_ns = ns_of(each["timestamp"])
        tallies.add(CallResult(ended_ns, each["latency"], each["status"], each["error"]))
    return LoadReport(
        told.get("name", ""),
        told["endReason"],
        ns_of(told["date"]),
        told["options"],
        told.get("tags", {}),
        told["total"],
        tallies,
        tallies.latencies(told["options"].get("count-errors", False)),
    )


def shape(value: Any) -> Any:
    """Names and types, without the values."""
    if isinstance(value, dict):
        return {name: shape(value[name]) for name in value}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return (
        "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)
    )

"""The formats influx-summary and influx-details: InfluxDB's line protocol, as ghz writes it."""

from collections.abc import Iterator
from typing import Any

from ops.ghz.notation import duration_text, float_text, json_text, seconds_of
from ops.ghz.reports.report import LoadReport


def summary_line(report: LoadReport) -> str:
    """One line for the run."""
    latencies = {each.percentage: each.latency_ns for each in report.latencies.percentiles}
    fields = {
        "count": report.tallies.count,
        "total": report.total_ns,
        "average": report.average_ns,
        "fastest": report.latencies.fastest_ns,
        "slowest": report.latencies.slowest_ns,
        "rps": f"{report.rate:4.2f}",
        **({"median": latencies[50]} if 50 in latencies else {}),
        **({"p95": latencies[95]} if 95 in latencies else {}),
        "errors": report.errors,
    }
    errors = f",errors={report.errors},has_errors={'true' if report.errors else 'false'}"
    pairs = ",".join(f"{name}={value}" for name, value in fields.items())
    return f"ghz_run,{_tags(report)}{errors} {pairs} {report.date_ns}"


def detail_lines(report: LoadReport) -> str:
    """A line for each call."""
    tags = _tags(report)
    return "".join(
        f"ghz_detail,{tags},hasError={'true' if each.error else 'false'} "
        f'latency={each.latency_ns},error="{_clean(each.error)}",status="{each.status}" '
        f"{each.ended_ns}\n"
        for each in report.tallies.details
    )


def _tags(report: LoadReport) -> str:
    return ",".join(f"{name}={value}" for name, value in _tag_pairs(report))


def _tag_pairs(report: LoadReport) -> Iterator[tuple[str, object]]:
    options = report.options
    if report.name:
        yield "name", f'"{_clean(report.name.strip())}"'
    if "proto" in options:
        yield "proto", f'"{options["proto"]}"'
    elif "protoset" in options:
        yield "Protoset", f'"{options["protoset"]}"'
    yield "call", f'"{options["call"]}"'
    yield "host", f'"{options["host"]}"'
    yield "n", options.get("total", 0)
    yield from _schedule_pairs(report, "concurrency", "c", options.get("concurrency", 0))
    yield from _schedule_pairs(report, "load", "rps", options.get("rps", 0))
    yield "z", options.get("duration", 0)
    for name, option in (
        ("timeout", "timeout"),
        ("dial_timeout", "dial-timeout"),
        ("keepalive", "keepalive"),
    ):
        yield name, float_text(seconds_of(options.get(option, 0)))
    yield "data", _clean(json_text(json_text(options.get("data"))))
    yield "metadata", _quoted_twice(options.get("metadata"))
    yield "tags", _quoted_twice(dict(report.tags) or None)


def _schedule_pairs(
    report: LoadReport, what: str, short: str, constant: int
) -> Iterator[tuple[str, object]]:
    options = report.options
    if options[f"{what}-schedule"] == "const":
        yield short, constant
        return
    for part in ("schedule", "start", "end", "step"):
        yield f"{what}-{part}", options[f"{what}-{part}"]
    for part in ("step-duration", "max-duration"):
        yield f"{what}-{part}", duration_text(options[f"{what}-{part}"])


def _quoted_twice(value: Any) -> str:
    return '""' if value is None else _clean(json_text(json_text(value)))


def _clean(text: str) -> str:
    return text.replace(" ", "\\ ").replace(",", "\\,").replace("=", "\\=")

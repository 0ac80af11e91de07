"""The format prometheus: the text exposition format, with ghz's names."""

from collections.abc import Iterator, Mapping

from ops.ghz.notation import float_text
from ops.ghz.reports.report import LoadReport

# Options that ghz shows even where they are empty, and what an empty one reads.
_SHOWN = {
    "import-paths": "",
    "skipTLS": "false",
    "async": "false",
    "count-errors": "false",
    "rps": "0",
    "duration": "0",
    "timeout": "0",
    "dial-timeout": "0",
    "keepalive": "0",
    "skipFirst": "0",
}
_EXPONENT_FROM = 6


def exposition(report: LoadReport) -> str:
    """The whole text."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: LoadReport) -> Iterator[str]:
    labels = _labels(report)
    count, total = report.tallies.count, report.total_ns
    yield from _gauge("ghz_run_count", labels, count)
    yield from _gauge("ghz_run_total", labels, total)
    yield from _gauge("ghz_run_average", labels, report.average_ns)
    yield from _gauge("ghz_run_fastest", labels, report.latencies.fastest_ns)
    yield from _gauge("ghz_run_slowest", labels, report.latencies.slowest_ns)
    yield from _gauge("ghz_run_rps", labels, report.rate)
    yield "# TYPE ghz_run_histogram histogram"
    for bar in report.latencies.histogram:
        le = _number(bar.mark_s)
        yield f"ghz_run_histogram_bucket{_braced(labels, le=le)} {bar.count}"
    yield f"ghz_run_histogram_bucket{_braced(labels, le='+Inf')} {count}"
    yield from _sum_and_count("ghz_run_histogram", labels, total, count)
    yield "# TYPE ghz_run_latency summary"
    for each in report.latencies.percentiles:
        quantile = _number(each.percentage / 100)
        yield f"ghz_run_latency{_braced(labels, quantile=quantile)} {_number(each.latency_ns)}"
    yield from _sum_and_count("ghz_run_latency", labels, total, count)
    yield from _gauge("ghz_run_errors", labels, report.errors)


def _sum_and_count(name: str, labels: Mapping[str, str], total: int, count: int) -> Iterator[str]:
    yield f"{name}_sum{_braced(labels)} {_number(total)}"
    yield f"{name}_count{_braced(labels)} {count}"


def _gauge(name: str, labels: Mapping[str, str], value: float) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    yield f"{name}{_braced(labels)} {_number(value)}"


def _number(value: float) -> str:
    return float_text(float(value), _EXPONENT_FROM)


def _labels(report: LoadReport) -> dict[str, str]:
    options = {**_SHOWN, **report.options}
    for left_out in ("data", "metadata"):
        options.pop(left_out, None)
    for what in ("load", "concurrency"):
        if options[f"{what}-schedule"] == "const":
            options = {k: v for k, v in options.items() if not k.startswith(f"{what}-")}
    options |= {"name": report.name, "end_reason": report.end_reason}
    return {name.replace("-", "_"): _text(value) for name, value in sorted(options.items())}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)


def _braced(labels: Mapping[str, str], **more: str) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in {**labels, **more}.items())
    return f"{{{','.join(pairs)}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

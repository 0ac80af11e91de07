"""The formats summary and csv."""

from collections.abc import Mapping, Sequence

from ops.ghz.reports.report import LoadReport
from ops.ghz.statistics import Bar

_BAR = "∎"
_LONGEST_BAR = 40


def unit_text(ns: int) -> str:
    """For example "9999 ns", "1.25 ms", "2.50 s"."""
    if ns < 10_000:
        return f"{ns} ns"
    ms = ns / 1e6
    return f"{ms:4.2f} ms" if ms < 1000 else f"{ms / 1000:4.2f} s"


def summary(report: LoadReport) -> str:
    """The format summary."""
    name = f"  Name:\t\t{report.name}\n" if report.name else ""
    percentiles = "".join(
        f"\n  {each.percentage} % in {unit_text(each.latency_ns)} "
        for each in report.latencies.percentiles
    )
    statuses, errors = report.tallies.statuses, report.tallies.errors
    return (
        f"\nSummary:\n{name}"
        f"  Count:\t{report.tallies.count}\n"
        f"  Total:\t{unit_text(report.total_ns)}\n"
        f"  Slowest:\t{unit_text(report.latencies.slowest_ns)}\n"
        f"  Fastest:\t{unit_text(report.latencies.fastest_ns)}\n"
        f"  Average:\t{unit_text(report.average_ns)}\n"
        f"  Requests/sec:\t{report.rate:4.2f}\n"
        f"\nResponse time histogram:\n{_bars(report.latencies.histogram)}\n"
        f"Latency distribution:{percentiles}\n\n"
        + (f"Status code distribution:\n{_statuses(statuses)}" if statuses else "")
        + "\n"
        + (f"Error distribution:\n{_errors(errors)}" if errors else "")
        + "\n"
    )


def _bars(histogram: Sequence[Bar]) -> str:
    marks = [f"{bar.mark_s * 1000:.3f}" for bar in histogram]
    most = max((bar.count for bar in histogram), default=0)
    mark_width = max(map(len, marks), default=0)
    count_width = len(str(most))
    return "".join(
        f"  {mark:<{mark_width}} {f'[{bar.count}]':<{count_width + 2}} |"
        f"{_BAR * ((bar.count * _LONGEST_BAR + most // 2) // most)}\n"
        for mark, bar in zip(marks, histogram, strict=True)
    )


def _columns(rows: Sequence[tuple[str, str]]) -> str:
    """Columns three spaces apart, the last one too."""
    widths = [max(len(row[column]) for row in rows) + 3 for column in range(2)]
    return "".join(f"  {a:<{widths[0]}}{b:<{widths[1]}}\n" for a, b in rows)


def _statuses(statuses: Mapping[str, int]) -> str:
    return _columns([(f"[{name}]", f"{statuses[name]} responses") for name in sorted(statuses)])


def _errors(errors: Mapping[str, int]) -> str:
    return _columns([(f"[{errors[text]}]", " ".join(text.split())) for text in sorted(errors)])


def csv(report: LoadReport) -> str:
    """The format csv; an error is the last field and not quoted, as ghz has it."""
    rows = "".join(
        f"\n{each.latency_ns / 1e9 * 1000:4.2f},{each.status},{' '.join(each.error.split())}"
        for each in report.tallies.details
    )
    return f"\nduration (ms),status,error{rows}\n"

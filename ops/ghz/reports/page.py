"""The format html: what ghz's page tells, in one file that asks nothing of the network."""

import base64
import json
from collections.abc import Iterable, Mapping
from html import escape

from ops.ghz.reports import as_json, as_text
from ops.ghz.reports.report import LoadReport, local_time

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}th,td{padding:.25rem .75rem;text-align:left;
border-bottom:1px solid #ddd}.tag{background:#363636;color:#fff;padding:0 .5rem}
.bar{background:#00b29c;height:1rem}.bars td{border:0}.bars .wide{width:30rem}
pre{background:#f5f5f5;padding:1rem;overflow:auto}
"""


def page(report: LoadReport) -> str:
    """The whole document."""
    title = f"ghz - {report.name}" if report.name else "ghz"
    date = local_time(report.date_ns)
    when = f"{date:%a %b} {date.day:2d} {date.year} @ {date:%H:%M:%S}"
    sections = (
        _tags(report.tags),
        _section("summary", "Summary", _summary(report)),
        _section("histogram", "Histogram", _histogram(report)),
        _section("latency", "Latency distribution", _latencies(report)),
        _section("status", "Status distribution", _counts("Status", report.tallies.statuses)),
        _section("errors", "Errors", _counts("Error", report.tallies.errors))
        if report.tallies.errors
        else "",
        _section("data", "Data", _downloads(report)),
        _section("options", "Options", f"<pre>{escape(_options(report))}</pre>"),
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(report.name)}</h1>\n<p>{when}</p>\n"
        f"{''.join(sections)}</body>\n</html>\n"
    )


def _section(anchor: str, title: str, body: str) -> str:
    return f'<h3 id="{anchor}">{title}</h3>\n{body}\n'


def _table(rows: Iterable[Iterable[object]]) -> str:
    """The first cell of each row is its head; cells are text."""
    lines = "\n".join(
        f"<tr><th>{escape(str(head))}</th>"
        f"{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"
        for head, *cells in rows
    )
    return f"<table>\n{lines}\n</table>"


def _tags(tags: Mapping[str, str]) -> str:
    shown = (f'<span class="tag">{escape(k)}</span> {escape(v)}' for k, v in tags.items())
    return f"<p>{' '.join(shown)}</p>\n" if tags else ""


def _summary(report: LoadReport) -> str:
    unit = as_text.unit_text
    return _table(
        (
            ("Count", report.tallies.count),
            ("Total", unit(report.total_ns)),
            ("Slowest", unit(report.latencies.slowest_ns)),
            ("Fastest", unit(report.latencies.fastest_ns)),
            ("Average", unit(report.average_ns)),
            ("Requests / sec", f"{report.rate:4.2f}"),
        )
    )


def mark_text(seconds: float) -> str:
    """For example "0.8546 ms", "12.50 ms"."""
    ms = seconds * 1000
    return f"{ms:4.4f} ms" if ms < 1 else f"{ms:4.2f} ms"


def _histogram(report: LoadReport) -> str:
    most = max((bar.count for bar in report.latencies.histogram), default=1)
    rows = "\n".join(
        f"<tr><td>{mark_text(bar.mark_s)}</td><td>{bar.count}</td>"
        f'<td class="wide"><div class="bar" style="width:{bar.count / most:.1%}"></div></td></tr>'
        for bar in report.latencies.histogram
    )
    return f'<table class="bars">\n{rows}\n</table>'


def _latencies(report: LoadReport) -> str:
    found = report.latencies.percentiles
    return _table((f"{each.percentage} %", as_text.unit_text(each.latency_ns)) for each in found)


def _counts(what: str, counts: Mapping[str, int]) -> str:
    whole = sum(counts.values())
    rows = [(name, counts[name], f"{counts[name] / whole:.2%}") for name in sorted(counts)]
    return _table([(what, "Count", "% of Total"), *rows])


def _downloads(report: LoadReport) -> str:
    return " ".join(
        f'<a download="data.{kind.lower()}" href="data:{media};base64,{_encoded(text)}">{kind}</a>'
        for kind, media, text in (
            ("JSON", "application/json", as_json.details(report)),
            ("CSV", "text/csv", as_text.csv(report).lstrip()),
        )
    )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _options(report: LoadReport) -> str:
    return json.dumps(dict(report.options), indent=2, ensure_ascii=False)

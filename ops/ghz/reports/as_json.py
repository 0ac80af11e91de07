"""The formats json and pretty."""

import json
from collections.abc import Iterator

from ops.ghz.call_data import rfc3339
from ops.ghz.notation import NS_PER_S, json_text
from ops.ghz.reports.report import LoadReport, local_time
from ops.ghz.statistics import CallResult


def compact(report: LoadReport) -> str:
    """The format json, letter for letter as Go writes it."""
    return f"{{{','.join(f'{json_text(name)}:{text}' for name, text in _members(report))}}}"


def pretty(report: LoadReport) -> str:
    """The format pretty: the same, indented by two spaces."""
    return _indented(compact(report))


def _members(report: LoadReport) -> Iterator[tuple[str, str]]:
    """Names and JSON of the report's members, in ghz's order."""
    yield "date", json_text(rfc3339(local_time(report.date_ns)))
    if report.name:
        yield "name", json_text(report.name)
    yield "endReason", json_text(report.end_reason)
    yield "options", json_text(dict(report.options))
    yield "count", str(report.tallies.count)
    yield "total", str(report.total_ns)
    yield "average", str(report.average_ns)
    yield "fastest", str(report.latencies.fastest_ns)
    yield "slowest", str(report.latencies.slowest_ns)
    yield "rps", json_text(report.rate)
    yield "errorDistribution", json_text(dict(sorted(report.tallies.errors.items())))
    yield "statusCodeDistribution", json_text(dict(sorted(report.tallies.statuses.items())))
    yield "latencyDistribution", json_text(_percentiles(report))
    yield "histogram", json_text(_histogram(report))
    yield "details", details(report)
    if report.tags:
        yield "tags", json_text(dict(report.tags))


def _percentiles(report: LoadReport) -> list[dict[str, int]] | None:
    return [
        {"percentage": each.percentage, "latency": each.latency_ns}
        for each in report.latencies.percentiles
    ] or None


def _histogram(report: LoadReport) -> list[dict[str, float]] | None:
    return [
        {"mark": float(each.mark_s), "count": each.count, "frequency": float(each.frequency)}
        for each in report.latencies.histogram
    ] or None


def details(report: LoadReport) -> str:
    """The calls, one by one; null where there is none."""
    if not report.tallies.details:
        return "null"
    return f"[{','.join(map(_detail, report.tallies.details))}]"


def _detail(each: CallResult) -> str:
    return (
        f'{{"timestamp":"{_timestamp(each.ended_ns)}","latency":{each.latency_ns},'
        f'"error":{json_text(each.error) if each.error else _EMPTY},"status":"{each.status}"}}'
    )


_EMPTY = '""'


def _timestamp(ns: int) -> str:
    """RFC 3339 to the nanosecond, without zeros at the end."""
    moment = local_time(ns).replace(microsecond=0).isoformat()
    fraction = f"{ns % NS_PER_S:09d}".rstrip("0")
    zone = "Z" if moment.endswith("+00:00") else moment[19:]
    return f"{moment[:19]}{f'.{fraction}' if fraction else ''}{zone}"


def _indented(text: str) -> str:
    """Line breaks and indents only: each number stays as it is written."""
    out: list[str] = []
    depth = 0
    for part in _tokens(text):
        if part in "{[":
            depth += 1
            out.append(f"{part}\n{'  ' * depth}")
        elif part in "}]":
            depth -= 1
            out.append(f"\n{'  ' * depth}{part}")
        elif part == ",":
            out.append(f",\n{'  ' * depth}")
        else:
            out.append(": " if part == ":" else part)
    return "".join(out)


def _tokens(text: str) -> Iterator[str]:
    """Marks, whole texts, whole words; an empty list or object is one word."""
    decoder = json.JSONDecoder()
    place = 0
    while place < len(text):
        letter = text[place]
        if text[place : place + 2] in {"{}", "[]"}:
            end = place + 2
        elif letter == '"':
            end = decoder.raw_decode(text, place)[1]
        elif letter in "{}[]:,":
            end = place + 1
        else:
            end = place + 1
            while text[end] not in ",]}":
                end += 1
        yield text[place:end]
        place = end

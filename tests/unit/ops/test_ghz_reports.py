"""Reports are those of ghz: held to what ghz itself wrote of the same runs."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ops.ghz.reports.formats import WRITERS
from ops.ghz.statistics import MOST_DETAILS, CallResult, Latencies, Tallies
from tests.support.ghz.facts import fact, report_from

RUNS = ("unary", "failures", "timeouts", "streams", "paced")


def _in_any_order(text: str) -> list[Any]:
    """ghz writes labels, statuses and errors in the order of chance."""
    rows = []
    for line in text.splitlines():
        name, brace, rest = line.partition("{")
        labels = re.findall(r'\w+="(?:\\.|[^"\\])*"', rest)
        value = rest.rpartition("}")[2]
        rows.append((name, sorted(labels), value) if brace and labels else line)
    distributions = [row for row in rows if isinstance(row, str) and row.startswith("  [")]
    return [row for row in rows if row not in distributions] + sorted(distributions)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("form", ["json", "pretty", "csv", "influx-summary", "influx-details"])
def test_report_is_what_ghz_wrote_letter_for_letter(form: str, run: str) -> None:
    """Percentiles, histogram, average and rate included."""
    told = fact(f"{run}.json")
    assert told["shown"][form] == WRITERS[form](report_from(told["report"]))


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("form", ["summary", "prometheus"])
def test_report_is_what_ghz_wrote_but_for_an_order_of_chance(form: str, run: str) -> None:
    """Every line and label."""
    told = fact(f"{run}.json")
    written = WRITERS[form](report_from(told["report"]))
    assert _in_any_order(told["shown"][form]) == _in_any_order(written)


def test_prometheus_can_be_scraped() -> None:
    """A parser of the format reads it; labels are escaped."""
    report = replace(report_from(fact("unary.json")["report"]), name='a "b"\\\n')
    families = {
        family.name: family
        for family in text_string_to_metric_families(WRITERS["prometheus"](report))
    }
    assert 9 == len(families)
    assert 'a "b"\\\n' == families["ghz_run_count"].samples[0].labels["name"]
    assert 60.0 == families["ghz_run_count"].samples[0].value


class _Page(HTMLParser):
    """Texts of a page, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] * bool(data.strip())


def test_page_tells_all_and_fetches_nothing() -> None:
    """The sections and figures of ghz's page; what is named by strangers is text."""
    report = report_from(fact("failures.json")["report"])
    page = _Page(WRITERS["html"](replace(report, name="<script>x</script>", tags={"a": "<b>"})))
    told = {"Summary", "Histogram", "Latency distribution", "Status distribution", "Errors"}
    assert told | {"Data", "Options", "Count", "Requests / sec", "99 %"} <= set(page.texts)
    assert {"<script>x</script>", "<b>", "NotFound", "32"} <= set(page.texts)
    assert all(link.startswith("data:") for link in page.fetched), page.fetched


def test_report_of_failures_alone_has_average_and_rate_and_no_latencies() -> None:
    """As ghz has it: null where there is nothing to tell."""
    tallies = Tallies()
    for _ in range(4):
        tallies.add(CallResult(1, 2_000_000, "NotFound", "no"))
    report = replace(
        report_from(fact("unary.json")["report"]), tallies=tallies, latencies=Latencies()
    )
    told = json.loads(WRITERS["json"](report))
    assert (None, None, 0, 0) == tuple(
        told[name] for name in ("latencyDistribution", "histogram", "fastest", "slowest")
    )
    assert 2_000_000 == told["average"]
    assert told["rps"] > 0
    assert told["average"] == tallies.average_ns()


def test_every_format_can_be_written_of_a_run_without_calls() -> None:
    """A run that was ended before its first answer."""
    empty = replace(
        report_from(fact("unary.json")["report"]), tallies=Tallies(), latencies=Latencies()
    )
    for form, write in WRITERS.items():
        assert isinstance(write(empty), str), form
    told = json.loads(WRITERS["json"](empty))
    assert (0, 0, 0, None, {}) == (
        told["count"],
        told["average"],
        told["rps"],
        told["details"],
        told["statusCodeDistribution"],
    )


def test_details_are_bounded_and_counts_are_not() -> None:
    """A million calls are kept; more of them count."""
    tallies = Tallies()
    one = CallResult(1, 1, "OK", "")
    tallies.details = [one] * (MOST_DETAILS - 1)
    tallies.count = MOST_DETAILS - 1
    for _ in range(3):
        tallies.add(one)
    assert (MOST_DETAILS, MOST_DETAILS + 2) == (len(tallies.details), tallies.count)


def test_errors_that_differ_are_bounded() -> None:
    """A server that words each error anew does not fill the memory."""
    tallies = Tallies()
    for number in range(10_010):
        tallies.add(CallResult(1, 1, "Internal", f"error {number}"))
    assert (10_001, 10, 10_010) == (
        len(tallies.errors),
        tallies.errors["other errors"],
        sum(tallies.errors.values()),
    )

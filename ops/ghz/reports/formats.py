"""Which format is written by what."""

from collections.abc import Callable, Mapping

from ops.ghz.reports import as_json, as_text, influx, page, prometheus
from ops.ghz.reports.report import LoadReport

WRITERS: Mapping[str, Callable[[LoadReport], str]] = {
    "summary": as_text.summary,
    "csv": as_text.csv,
    "json": as_json.compact,
    "pretty": as_json.pretty,
    "html": page.page,
    "influx-summary": influx.summary_line,
    "influx-details": influx.detail_lines,
    "prometheus": prometheus.exposition,
}

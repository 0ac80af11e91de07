"""What every report is made of."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops.ghz.descriptors import import_paths_of
from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions
from ops.ghz.payloads import as_reported, data_text, metadata_text
from ops.ghz.runner import FinishedRun
from ops.ghz.statistics import Latencies, Tallies


@dataclass(frozen=True)
class LoadReport:
    """
    A run, told.

    Attributes:
        options: As ghz reports them: its names, durations in nanoseconds, what is empty left out
            where ghz leaves it out.
    """

    name: str
    end_reason: str
    date_ns: int
    options: Mapping[str, Any]
    tags: Mapping[str, str]
    total_ns: int
    tallies: Tallies
    latencies: Latencies

    @property
    def average_ns(self) -> int:
        """Of all calls."""
        return self.tallies.average_ns()

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.tallies.rate(self.total_ns)

    @property
    def errors(self) -> int:
        """Calls that failed."""
        return sum(self.tallies.errors.values())


def report_of(options: GhzOptions, run: FinishedRun, date_ns: int) -> LoadReport:
    """The report on *run*, which was finished at *date_ns*."""
    return LoadReport(
        options.name,
        run.end_reason,
        date_ns,
        reported_options(options),
        dict(sorted((options.tags or {}).items())),
        run.total_ns,
        run.tallies,
        run.tallies.latencies(options.count_errors),
    )


def reported_options(options: GhzOptions) -> dict[str, Any]:
    """The options in ghz's order; `_may_be_empty` are there even if empty."""
    is_binary = options.binary or bool(options.binary_file)
    values = {
        "call": options.call,
        "host": options.host,
        "proto": options.proto,
        "protoset": options.protoset,
        "import-paths": list(import_paths_of(options)),
        "enable-compression": options.enable_compression,
        "cacert": options.cacert,
        "cert": options.cert,
        "key": options.key,
        "cname": options.cname,
        "skipTLS": options.skip_tls,
        "insecure": options.insecure,
        "authority": options.authority,
        "rps": options.rps,
        **_schedule("load", options),
        "concurrency": options.concurrency,
        **_schedule("concurrency", options),
        "total": options.total,
        "async": options.asynchronous,
        "connections": options.connections,
        "duration": options.duration,
        "timeout": options.timeout,
        "dial-timeout": options.connect_timeout,
        "keepalive": options.keepalive,
        "data": None if is_binary else as_reported(data_text(options)),
        "binary": is_binary,
        "metadata": as_reported(metadata_text(options)),
        "CPUs": options.cpus or os.cpu_count() or 1,
        "name": options.name,
        "skipFirst": options.skip_first,
        "count-errors": options.count_errors,
    }
    return {
        name: value
        for name, value in values.items()
        if _may_be_empty(name) or not _is_empty(name, value)
    }


def _is_empty(name: str, value: object) -> bool:
    """Data is left out only where there is none; an empty object is some."""
    return value is None if name in {"data", "metadata"} else not value


def _may_be_empty(name: str) -> bool:
    return name in {"insecure", "binary", "CPUs"} or name.startswith(("load-", "concurrency-"))


def _schedule(what: str, options: GhzOptions) -> dict[str, Any]:
    is_load = what == "load"
    schedule = options.load_schedule if is_load else options.concurrency_schedule
    step_ns = options.load_step_duration if is_load else options.concurrency_step_duration
    return {
        f"{what}-schedule": schedule,
        f"{what}-start": options.load_start if is_load else options.concurrency_start,
        f"{what}-end": options.load_end if is_load else options.concurrency_end,
        f"{what}-step": options.load_step if is_load else options.concurrency_step,
        f"{what}-step-duration": NS_PER_S if schedule == "line" else step_ns,
        f"{what}-max-duration": options.load_max_duration
        if is_load
        else options.concurrency_max_duration,
    }


def local_time(ns: int) -> datetime:
    """To the microsecond, in the machine's time zone."""
    whole, rest = divmod(ns, NS_PER_S)
    return datetime.fromtimestamp(whole, UTC).astimezone().replace(microsecond=rest // 1000)

"""docs/runbook.md lists every metric there is, with its labels, and none of the past."""

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase

import services
from services.common.call_durations import LABELS, CallDurations

ROOT = Path(__file__).parents[2]
_ROW = re.compile(
    r"^\| `(kuji_\w+)(?:\{([\w,]+)\})?` \| \S[^|]* \| \S[^|]* \|[^|]*\|$", re.MULTILINE
)
_NOT_OURS = ("python_", "process_")


def _modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(services.__path__, "services.")
    return [importlib.import_module(one.name) for one in found if "__main__" not in one.name]


def _metrics() -> dict[str, MetricWrapperBase | CallDurations]:
    return {
        _name_of(metric): metric
        for module in _modules()
        for metric in vars(module).values()
        if isinstance(metric, MetricWrapperBase | CallDurations)
    }


def _name_of(metric: MetricWrapperBase | CallDurations) -> str:
    if isinstance(metric, CallDurations):
        return metric.name
    suffix = "_total" if isinstance(metric, prometheus_client.Counter) else ""
    return f"{metric._name}{suffix}"


def _labels_of(metric: MetricWrapperBase | CallDurations) -> str:
    names = LABELS if isinstance(metric, CallDurations) else metric._labelnames
    return ",".join(names)


def test_page_lists_every_metric_with_its_labels() -> None:
    """One row for a metric: its name as it is exported, and its labels."""
    expected = {name: _labels_of(metric) for name, metric in _metrics().items()}
    table = (ROOT / "docs" / "runbook.md").read_text("utf-8").partition("\n## Metrics\n")[2]
    listed = dict(_ROW.findall(table))
    assert len(expected) > 30
    assert expected == listed
    assert len(listed) == len(_ROW.findall(table))


def test_name_tells_the_unit() -> None:
    """Prometheus's conventions: base units, and what is counted at the end of the name."""
    bad = [
        name for name in _metrics() if re.search(r"_(ms|millis|kb|mb|percent|time)(_total)?$", name)
    ]
    timed = [
        name
        for name, metric in _metrics().items()
        if isinstance(metric, prometheus_client.Histogram | CallDurations)
        and not re.search("_(seconds|draws)$", name)
    ]
    assert ([], []) == (bad, timed)


def test_registry_has_no_metric_outside_a_module() -> None:
    """What is made elsewhere than at the top of a module would escape the table."""
    ours = {
        sample.name.removesuffix("_created")
        for family in prometheus_client.REGISTRY.collect()
        for sample in family.samples
        if not family.name.startswith(_NOT_OURS)
    }
    made = {re.sub("_total$", "", name) for name in _metrics()}
    assert [] == [
        name for name in ours if re.sub("_(total|bucket|count|sum)$", "", name) not in made
    ]

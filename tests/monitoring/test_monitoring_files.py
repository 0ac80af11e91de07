"""Alarms and dashboards: their queries ask for what is exported, and say what to do."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from kuji.common.v1.error_reason_pb2 import ErrorReason

from protos.services import all_services
from services.common.server.rpc import CALLER_LEFT
from services.pool.rule.terms import DrawCode
from tests.support.manifests import of_kind, rendered
from tests.support.monitoring import (
    FOLDER,
    RUNBOOK,
    Query,
    alerts,
    dashboards,
    metric_rows,
    panels,
    queries,
    selectors,
)

_TARGET = {"job", "component", "instance", "namespace", "pod", "le"}
_OF_OTHERS = re.compile("up|ALERTS|process_(cpu|resident|open|max|virtual)_.*|envoy_.*")
_HEADING = re.compile(r"^### (\w+)$", re.MULTILINE)
_SEVERITIES = {"page", "ticket"}


def _exported() -> Mapping[str, set[str]]:
    """Metric → labels, as the table of the runbook has them; it is held against the code."""
    return {name: set(filter(None, labels.split(","))) for name, labels, _ in metric_rows()}


def _values() -> Mapping[str, set[str]]:
    """Label → values that there can be."""
    methods = {method.name for service in all_services() for method in service.methods}
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items()}
    outcomes = {code.name.lower() for code in DrawCode} | {"win", "miss", "unknown"}
    parts = {"auth", "draw", "admin", "history", "recorder", "envoy"}
    return {
        "method": methods,
        "reason": reasons | {"OK", CALLER_LEFT},
        "component": parts,
        "envoy_cluster_name": parts | {"keys"},
    } | {"outcome": outcomes | {"left", "released", "drawn"}, "store": {"redis", "postgres"}}


def _problems(query: Query) -> list[str]:
    exported, values = _exported(), _values()
    problems = []
    for metric, matchers in selectors(query.expr):
        name = metric if metric in exported else re.sub("_(bucket|sum|count)$", "", metric)
        if name not in exported:
            problems += [] if _OF_OTHERS.fullmatch(metric) else [f"no metric {metric}"]
            continue
        unknown = {label for label, _ in matchers} - exported[name] - _TARGET
        problems += [f"{metric} has no label {label}" for label in unknown]
        for label, wanted in matchers:
            missing = set(re.findall(r"\w+", wanted)) - values.get(label, set())
            if label in values and wanted != ".*" and missing:
                problems.append(f"{label} is never {missing}")
    return problems


def test_queries_ask_for_metrics_and_labels_that_are_exported() -> None:
    """Every name, label and value of every panel and alarm; PromQL that does not parse raises."""
    all_ = list(queries())
    assert len(all_) > 80
    assert [] == [(query.place, problems) for query in all_ if (problems := _problems(query))]


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(rate(kuji_rpc_calls_total{methd='Draw'}[5m]))",
        "kuji_gone",
        "up{",
        "kuji_draw_outcomes_total{outcome='won'}",
    ],
)
def test_query_is_found_out_when_it_asks_for_what_is_not_there(wrong: str) -> None:
    """The check above can fail."""
    try:
        assert _problems(Query("", wrong))
    except ValueError:
        assert wrong == "up{"


def test_alarm_has_what_somebody_at_night_needs() -> None:
    """A severity, a summary, a description, and an entry of the runbook that says what to do."""
    text = RUNBOOK.read_text("utf-8")
    entries = {part.partition("\n")[0]: part for part in text.split("\n### ")[1:]}
    names = [alert["alert"] for alert in alerts()]
    assert len(names) == len(set(names)) > 20
    assert set(names) == set(_HEADING.findall(text))
    for alert in alerts():
        name, notes = alert["alert"], alert["annotations"]
        assert alert["labels"]["severity"] in _SEVERITIES, name
        assert notes["summary"], name
        assert notes["description"], name
        assert notes["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert "**Means:**" in entries[name], name
        assert "**Do:**" in entries[name], name


def test_links_within_the_runbook_lead_somewhere() -> None:
    """Each has a heading."""
    text = RUNBOOK.read_text("utf-8")
    headings = re.findall("^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub("[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}
    linked = set(re.findall(r"\]\(#([\w-]+)\)", text))
    assert set() == linked - anchors


def test_panels_can_be_read() -> None:
    """Each says what it shows, in which unit, and what its lines are."""
    for title, panel in panels():
        place = f"{title}: {panel['title']}"
        assert panel["description"], place
        assert panel["fieldConfig"]["defaults"]["unit"], place
        assert "${datasource}" == panel["datasource"]["uid"], place
        if panel["type"] == "timeseries":
            assert all(target["legendFormat"] != "__auto" for target in panel["targets"]), place


@pytest.mark.parametrize("dashboard", dashboards(), ids=lambda one: str(one["uid"]))
def test_panels_lie_side_by_side(dashboard: dict[str, Any]) -> None:
    """Twenty-four columns, nothing over another; ids are unique."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert set() == cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_component_renders_what_operators_of_prometheus_and_grafana_take() -> None:
    """Rules, scrapes of both ports, and dashboards that Grafana's sidecar finds."""
    objects = rendered("dev", "monitoring")
    (rule,) = of_kind(objects, "PrometheusRule")
    assert len(alerts()) == sum(len(group["rules"]) for group in rule["spec"]["groups"])
    monitors = of_kind(objects, "PodMonitor")
    ports = {one["spec"]["podMetricsEndpoints"][0]["port"] for one in monitors}
    assert {"metrics", "status"} == ports
    shown = [
        one
        for one in of_kind(objects, "ConfigMap")
        if one["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
    ]
    files = {name for one in shown for name in one["data"]}
    assert {file.name for file in (FOLDER / "dashboards").iterdir()} == files
    assert all(len(text) < 900_000 for one in shown for text in one["data"].values())


def test_scrapes_find_every_part() -> None:
    """Each pod that a Deployment makes has the labels and the port that a PodMonitor asks for."""
    objects = rendered("dev", "monitoring")
    monitors = of_kind(objects, "PodMonitor")
    found = set()
    for deployment in of_kind(objects, "Deployment"):
        template = deployment["spec"]["template"]
        ports = {
            port.get("name")
            for container in template["spec"]["containers"]
            for port in container.get("ports", ())
        }
        labels = template["metadata"]["labels"]
        for monitor in monitors:
            wanted = monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
            if wanted and monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports:
                found.add(labels["app.kubernetes.io/name"])
    assert {"auth", "draw", "admin", "history", "recorder", "envoy"} == found

"""The alarms and dashboards of k8s/components/monitoring/, as their readers take them."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import promql_parser
import yaml

from stack.processes import ROOT

FOLDER = ROOT / "k8s" / "components" / "monitoring"
RUNBOOK = ROOT / "docs" / "runbook.md"
_ROW = re.compile(r"^\| `(kuji_\w+)(?:\{([\w,]+)\})?` \| ([^|]+) \|", re.MULTILINE)
# What Grafana puts in by itself, and what the variables stand for.
_VARIABLES = {"$__rate_interval": "1m", "$namespace": ".*", "$component": ".*", "$activity": ".*"}


class Selector(NamedTuple):
    """Which series a query asks for."""

    metric: str
    matchers: Sequence[tuple[str, str]]


class Query(NamedTuple):
    """A query of a panel or an alarm; *place* says which."""

    place: str
    expr: str


def metric_rows() -> list[tuple[str, str, str]]:
    """Of the table of metrics in the runbook: name, labels, and which parts have it."""
    table = RUNBOOK.read_text("utf-8").partition("\n## Metrics\n")[2]
    return [(name, labels, of) for name, labels, of in _ROW.findall(table)]


@cache
def alerts() -> Sequence[dict[str, Any]]:
    """The rules of all groups."""
    rule = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
    return [one for group in rule["spec"]["groups"] for one in group["rules"]]


@cache
def dashboards() -> Sequence[dict[str, Any]]:
    """Grafana's models."""
    files = sorted((FOLDER / "dashboards").glob("*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel that shows something, with its dashboard's title."""
    for dashboard in dashboards():
        for panel in dashboard["panels"]:
            if panel["type"] != "row":
                yield dashboard["title"], panel


def filled(expr: str) -> str:
    """*expr* with something in the place of Grafana's variables."""
    for name, value in _VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


def queries() -> Iterator[Query]:
    """All there are, variables filled."""
    for alert in alerts():
        yield Query(alert["alert"], alert["expr"])
    for title, panel in panels():
        for target in panel["targets"]:
            yield Query(f"{title}: {panel['title']}", filled(target["expr"]))
    for dashboard in dashboards():
        for variable in dashboard["templating"]["list"]:
            if found := re.fullmatch(r"label_values\((.+), (\w+)\)", str(variable["query"])):
                yield Query(f"{dashboard['title']}: {variable['name']}", filled(found[1]))


def selectors(expr: str) -> list[Selector]:
    """What *expr* asks for. Raises ValueError where it is no PromQL."""
    found: list[Selector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            matchers = [(one.name, one.value) for one in node.matchers.matchers]
            found.append(Selector(str(node.name), matchers))

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found

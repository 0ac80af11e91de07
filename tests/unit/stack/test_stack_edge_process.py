"""How Envoy is started, and in which order it looks for a route."""

import os
from pathlib import Path

import pytest

from stack.edge.config import Edge, envoy
from stack.edge.contract import CLUSTERS, routes
from stack.settings import StackSettings


def _threads_of(edge: Edge, folder: Path) -> int:
    command = envoy(edge, folder, folder / "log").command
    return int(command[command.index("--concurrency") + 1])


def _edge(folder: Path, threads: int = 0) -> Edge:
    upstreams = {name: ["127.0.0.1:9001"] for name in CLUSTERS}
    return Edge("127.0.0.1", 8081, folder / "admin.sock", upstreams, "secret", threads=threads)


def test_edge_serves_by_half_of_the_cores_unless_told(tmp_path: Path) -> None:
    """A thread for two cores, at least one; the others are for the services beside it."""
    cores = len(os.sched_getaffinity(0))
    assert max(1, cores // 2) == _threads_of(_edge(tmp_path), tmp_path)
    assert 3 == _threads_of(_edge(tmp_path, threads=3), tmp_path)


def test_threads_of_the_edge_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """KUJI_EDGE_THREADS."""
    monkeypatch.setenv("KUJI_EDGE_THREADS", "5")
    assert 5 == StackSettings().edge_threads


def test_routes_are_looked_through_in_the_order_of_use() -> None:
    """Draws before lists, lists before logins, administration last; a path's verbs together."""
    plain = [route for route in routes() if not route.variables]
    first_of = {name: [r.cluster for r in plain].index(name) for name in CLUSTERS}
    assert ["draw", "history", "auth", "admin"] == sorted(first_of, key=first_of.__getitem__)
    templates = list(dict.fromkeys(route.template for route in routes()))
    together = [t for t in templates for route in routes() if route.template == t]
    assert together == [route.template for route in routes()]

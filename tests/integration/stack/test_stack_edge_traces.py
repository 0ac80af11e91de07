"""Traces in the edge's configuration: there where they are on, and fit for Envoy."""

import subprocess
from pathlib import Path

import pytest

from services.common.traces.settings import TraceSettings
from stack.edge.config import Edge, render
from stack.wheels import envoy_binary

UPSTREAMS = {name: ["127.0.0.1:9001"] for name in ("auth", "draw", "admin", "history")}


def _written(folder: Path, traces: TraceSettings | None) -> str:
    edge = Edge("127.0.0.1", 8081, folder / "admin.sock", UPSTREAMS, "secret", traces=traces)
    for name, content in render(edge, folder).items():
        (folder / name).write_bytes(content)
    return (folder / "envoy.yaml").read_text()


@pytest.mark.parametrize("endpoint", ["https://collector.example:4317", "http://[::1]:4317"])
def test_envoy_takes_it(tmp_path: Path, endpoint: str) -> None:
    """With TLS, checked against the collector's name, and without."""
    traces = TraceSettings(
        exporter_otlp_endpoint=endpoint,
        traces_sampler="parentbased_traceidratio",
        traces_sampler_arg=0.01,
    )
    text = _written(tmp_path, traces)
    assert '"random_sampling": {"value": 1.0}' in text
    assert endpoint.startswith("https") == ('"exact": "collector.example"' in text)
    command = [envoy_binary(), "--mode", "validate", "-c", str(tmp_path / "envoy.yaml")]
    options = ["--use-dynamic-base-id", "--log-level", "warn"]
    ran = subprocess.run(
        [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert 0 == ran.returncode, ran.stderr


def test_nothing_of_it_is_there_where_it_is_off(tmp_path: Path) -> None:
    """Nor where it is switched off for all."""
    off = TraceSettings(exporter_otlp_endpoint="http://collector:4317", sdk_disabled=True)
    for traces in (None, TraceSettings(exporter_otlp_endpoint=""), off):
        text = _written(tmp_path, traces)
        assert ("opentelemetry" in text, "otlp" in text) == (False, False)

"""What Envoy says of itself, to whoever watches it."""

import httpx
import pytest

from tests.contract.edge_rig import Rig


async def test_status_says_ready_and_metrics(rig: Rig) -> None:
    """A probe and a scraper get what they need on a port of their own."""
    async with httpx.AsyncClient(base_url=f"http://{rig.edge.status}") as http:
        ready = await http.get("/ready")
        metrics = await http.get("/stats/prometheus")
    assert (200, "LIVE\n") == (ready.status_code, ready.text)
    assert 200 == metrics.status_code
    assert 'envoy_cluster_upstream_rq_total{envoy_cluster_name="draw"}' in metrics.text


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("POST", "/quitquitquit"),
        ("GET", "/config_dump"),
        ("GET", "/ready/../config_dump"),
        ("POST", "/ready"),
        ("GET", "/stats"),
        ("GET", "/"),
    ],
)
async def test_status_says_nothing_else(rig: Rig, verb: str, path: str) -> None:
    """Envoy's administration, with its secrets and its switches, stays closed."""
    async with httpx.AsyncClient(base_url=f"http://{rig.edge.status}") as http:
        response = await http.request(verb, path)
    assert (404, "") == (response.status_code, response.text)

"""A stack that is told all that one can be: stores, ports, an address, processes, certificates."""

import os
import re
import signal
from pathlib import Path

import httpx

from stack.ports import free_port
from stack.probes import certificate_itself
from tests.support.certificates import Authority
from tests.support.edge import caller, log_in_admin, register
from tests.support.stacks import StackUnderTest, is_alive, stack_home

PROCESSES = {"auth", "draw", "draw-2", "admin", "history", "recorder", "envoy"}


def _certificates(mounted: Path) -> dict[str, str]:
    """Two variables, and the edge speaks https; three more, and nothing goes in the clear."""
    Authority().issue(mounted)
    files = {"CERT": mounted / "tls.crt", "KEY": mounted / "tls.key"}
    told = {f"KUJI_EDGE_TLS_{name}_FILE": str(file) for name, file in files.items()}
    files["CA"] = mounted / "ca.crt"
    return told | {f"KUJI_TLS_{name}_FILE": str(file) for name, file in files.items()}


async def _draw(http: httpx.AsyncClient, administrator: dict[str, str]) -> bool:
    """Whether somebody wins the only prize there is."""
    admin = caller(http, await log_in_admin(http, administrator))
    activity = await admin("POST", "/admin/api/activities", json={"name": "told"})
    prize = {"activity_id": activity["activity_id"], "name": "cup", "total_count": 1}
    await admin("POST", "/admin/api/prizes", json=prize | {"probability": 1})
    path = f"/admin/api/activities/{activity['activity_id']}"
    await admin("PUT", path, json={"status": "ongoing"})
    user = caller(http, (await register(http))["access_token"])
    drawn = await user("POST", "/api/lottery/draw", json={"activity_id": activity["activity_id"]})
    return bool(drawn["won"])


async def test_stack_is_as_it_was_told_until_an_interrupt(
    redis_url: str, postgres_dsn: str
) -> None:
    """
    Where KUJI_REDIS_URL and KUJI_POSTGRES_DSN are set, the stack starts no store; ports, an
    address, draw processes and certificates are as told: https at the edge, mTLS behind it. Ctrl-C
    in the foreground is a clean stop of all.
    """
    ports = {"draw": free_port(), "draw-metrics": free_port()}
    told = {
        "KUJI_REDIS_URL": redis_url,
        "KUJI_POSTGRES_DSN": postgres_dsn,
        "KUJI_DRAW_PROCESSES": "2",
        "KUJI_EDGE_HOST": "::1",
        "KUJI_PORTS": ",".join(f"{name}={port}" for name, port in ports.items()),
    }
    with stack_home() as home:
        mounted = home / "certificates"
        stack = StackUnderTest(home, told | _certificates(mounted))
        async with stack.running_beside() as child:
            pids, endpoints = stack.pids(), stack.endpoints
            believed = certificate_itself(mounted / "tls.crt")
            async with httpx.AsyncClient(base_url=stack.edge, verify=believed, timeout=20) as http:
                assert 200 == (await http.get("/healthz")).status_code
                assert await _draw(http, stack.admin)
            status = stack.command("status")
            logs = [path.read_text() for path in home.glob("logs/*.log")]
            assert not re.search("(?i)jwks|no keys", "".join(logs))
            os.kill(child.pid, signal.SIGINT)
            code = await child.wait()
    assert (0, 2) == (status.returncode, status.stdout.count(" given ")), status.stdout
    assert f"https://[::1]:{stack.edge_port}" == endpoints["edge"]
    assert f"127.0.0.1:{ports['draw']}" == endpoints["grpc"]["draw"]
    assert f"http://127.0.0.1:{ports['draw-metrics']}/metrics" == endpoints["metrics"]["draw"]
    assert (PROCESSES, 0) == (set(pids), code)
    assert (redis_url, postgres_dsn) == (endpoints["redis"], endpoints["postgres"])
    assert [] == [name for name, pid in pids.items() if is_alive(pid)]

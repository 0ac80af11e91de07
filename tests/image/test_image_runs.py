"""
The real image of each part, as k8s/overlays/dev would run it, and a draw through the edge.

Command, arguments, environment, user, read-only root, capabilities, volumes and probes are those of
the rendered manifests; each pod has an address and all ports of its own. The images of Valkey,
Postgres and Envoy cannot be had here: their programs come from the wheels, with the arguments and
secrets of the manifests.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from image.base import ensure_base
from stack.wheels import envoy_binary
from tests.image.pods import LIMITS, Cluster, Pod, podman, until
from tests.image.stores import Stores
from tests.support.folders import throwaway_folder
from tests.support.manifests import of_kind, rendered
from tests.support.namespaces import Switch

pytestmark = pytest.mark.timeout(1000)  # the first of these builds it

SERVICES = ("auth", "draw", "admin", "history", "recorder")
JOBS = tuple(one["metadata"]["name"] for one in of_kind(rendered("dev"), "Job"))


class Installation:
    """All of it, running."""

    def __init__(self, cluster: Cluster, pods: dict[str, Pod], stores: Stores) -> None:
        self.cluster = cluster
        self.pods = pods
        self.stores = stores

    @property
    def edge(self) -> str:
        """Where the edge is, for who is in the switch."""
        return f"http://{self.pods['envoy'].address}:8080"

    def run(self, *command: str) -> str:
        """What the image says to a *command* of kuji, as the operator."""
        output = self.pods["migrate"].run_to_end(*command, secret="kuji-operator")
        assert 0 == output.returncode, output.stdout + output.stderr
        return output.stdout

    def secrets(self) -> set[str]:
        """Every secret value there is."""
        found = (one for one in self.cluster.objects if one["kind"] == "Secret")
        return {text for one in found for text in one["stringData"].values() if len(text) < 100}

    def admin(self) -> dict[str, str]:
        """The administrator's credentials."""
        secret = self.cluster.content("Secret", "kuji-auth")
        return {"username": "admin", "password": secret["KUJI_ADMIN_PASSWORD"]}


@pytest.fixture(name="switch", scope="module")
def _switch(image: str) -> Iterator[Switch]:
    """A network of its own, which this thread is in."""
    switch = Switch(f"kuji{os.getpid()}")
    try:
        with switch.entered():
            yield switch
    finally:
        switch.remove()


@pytest.fixture(name="cluster", scope="module")
def _cluster(image: str, switch: Switch) -> Iterator[Cluster]:
    """The manifests, with fresh Secrets, which the image makes."""
    made = podman("run", "--rm", "--network", "none", *LIMITS, image, "secrets")
    objects = [*rendered("dev"), *json.loads(made.stdout)["items"]]
    envoy = f"--volume={envoy_binary()}:/usr/local/bin/envoy:ro"
    with throwaway_folder("kuji-image-") as folder:
        folder.chmod(0o711)
        yield Cluster(
            name=switch.name,
            folder=folder,
            objects=objects,
            hosts={},
            images={"kuji": image, "envoy": ensure_base()},
            extra={"envoy": [envoy]},
        )


@pytest.fixture(name="installation", scope="module")
def _installation(cluster: Cluster, switch: Switch) -> Iterator[Installation]:
    """Stores, migration, every service and the edge, in the order that docs/upgrading.md says."""
    places = {name: switch.add(name) for name in (*SERVICES, "envoy", *JOBS)}
    stores = dict.fromkeys(("postgres", "valkey"), switch.address)
    cluster.hosts = stores | {name: address for name, (_, address) in places.items()}
    pods = {
        name: Pod(cluster, cluster.find("Job" if name in JOBS else "Deployment", name), *place)
        for name, place in places.items()
    }
    running = Stores(cluster, switch.address)
    try:
        migrated = pods["migrate"].run_to_end()
        assert 0 == migrated.returncode, migrated.stdout + migrated.stderr
        for name in SERVICES:
            pods[name].start()
        pods["envoy"].run_first()
        pods["envoy"].start()
        for name in (*SERVICES, "envoy"):
            pods[name].wait_until("startup")
            pods[name].wait_until("readiness")
        yield Installation(cluster, pods, running)
    finally:
        for pod in pods.values():
            pod.remove()
        running.stop()


def test_processes_have_no_rights(installation: Installation) -> None:
    """As user 1000, without a capability, without a way to get one, with a filter of its calls."""
    for name in SERVICES:
        said = Path(f"/proc/{installation.pods[name].pid()}/status").read_text()
        status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
        assert ["1000"] * 4 == status["Uid"].split()
        assert {0} == {int(status[kind], 16) for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb")}
        assert ("1", "2") == (status["NoNewPrivs"], status["Seccomp"])


def test_root_is_read_only_and_tmp_is_not(installation: Installation) -> None:
    """Nothing can be written into the image; what a part keeps is below /tmp."""
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('')"
    for name in SERVICES:
        process = installation.pods[name].process
        refused = podman("exec", process, "python", "-c", script, "/opt/kuji/x", check=False)
        assert "Read-only file system" in refused.stderr
        podman("exec", process, "python", "-c", script, "/tmp/x")


def test_draw_is_won_through_the_edge_and_the_books_balance(installation: Installation) -> None:
    """A user registers, wins the one unit, gets the same answer again, and is on the list."""
    with httpx.Client(base_url=installation.edge, timeout=20) as http:
        boss = _caller(http, http.post("/admin/api/login", json=installation.admin()))
        activity = boss("POST", "/admin/api/activities", name="Spring")["activity_id"]
        mug = {"activity_id": activity, "name": "Mug", "total_count": 1, "probability": 1}
        boss("POST", "/admin/api/prizes", **mug, is_enabled=True)
        boss("PUT", f"/admin/api/activities/{activity}", status="ongoing")
        alice = {"username": "alice", "password": "correct horse"}
        user = _caller(http, http.post("/api/auth/register", json=alice))
        drawn = user("POST", "/api/lottery/draw", activity_id=activity, request_id="first")
        again = user("POST", "/api/lottery/draw", activity_id=activity, request_id="first")
        assert "Mug" == drawn["prize"]["name"]
        assert drawn | {"replayed": True} == again | {"draws_left": drawn["draws_left"]}
        until(lambda: _won(http, activity), "the win is not on the list")
    books = installation.run("reconcile")
    assert "the books balance" in books


def _caller(http: httpx.Client, login: httpx.Response) -> Callable[..., Any]:
    token = login.json()["data"]["access_token"]

    def call(method: str, path: str, **body: Any) -> Any:
        headers = {"authorization": f"Bearer {token}"}
        answer = http.request(method, path, headers=headers, json=body).json()
        assert (1, "ok") == (answer["status"], answer["msg"]), answer
        return answer["data"]

    return call


def _won(http: httpx.Client, activity: str) -> bool:
    path = "/api/lottery/global-history"
    answer = http.get(path, params={"activity_id": activity}).json()
    return ["Mug"] == [one["prize_name"] for one in answer["data"]["winners"]]


def test_smoke_test_passes(installation: Installation, switch: Switch) -> None:
    """`kuji smoke`, by its Job where the manifests have one, plays a draw and checks the books."""
    smoke = installation.pods.get("smoke")
    if smoke is None:
        assert installation.run("smoke", "--edge", installation.edge)
        return
    (port,) = installation.cluster.find("Service", "envoy")["spec"]["ports"]
    with switch.forwarding("envoy", port["port"], 8080):
        ended = smoke.run_to_end()
    assert 0 == ended.returncode, ended.stdout + ended.stderr


def test_lost_redis_makes_draw_unready_and_leaves_it_alone(installation: Installation) -> None:
    """Readiness says so, liveness does not; with Redis back, draws are won again."""
    draw = installation.pods["draw"]
    installation.stores.valkey.ask_to_stop()
    installation.stores.valkey.finish(10)
    draw.wait_until("readiness", passes=False)
    assert draw.passes("liveness")
    installation.stores.valkey.restart()
    draw.wait_until("readiness")
    assert draw.is_running()


def test_parts_end_in_order_and_tell_no_secret(installation: Installation) -> None:
    """On SIGTERM each ends by itself within its grace; no log holds a secret."""
    secrets = installation.secrets()
    assert len(secrets) > 10
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        codes = list(pool.map(lambda name: installation.pods[name].stop(), SERVICES))
    logs = {name: pod.log() for name, pod in installation.pods.items() if name not in JOBS}
    assert [0] * len(SERVICES) == codes, logs
    assert [] == [
        (name, text) for name, text in logs.items() if any(one in text for one in secrets)
    ]

"""compose.yaml runs what k8s/overlays/dev runs: the same settings, arguments and programs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from image.build import ROOT
from ops.errors import OperatorError
from ops.secret_files import write_secret_files
from services.__main__ import PARTS
from tests.support.manifests import Object, pod_of, rendered, workloads

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKLOADS = workloads(rendered("dev"))
CONFIG = "k8s/base/config"
OURS = (*PARTS, "migrate", "edge-config", "kuji")


def _container(name: str) -> Object:
    (found,) = pod_of(WORKLOADS[name])["containers"]
    result: Object = found
    return result


def test_compose_has_every_part() -> None:
    """Each part of Kubernetes' overlay, and the command."""
    assert set(WORKLOADS) - {"smoke"} == set(SERVICES) - {"edge-config", "kuji"}


@pytest.mark.parametrize("part", [*PARTS, "migrate"])
def test_compose_runs_a_part_as_kubernetes_does(part: str) -> None:
    """By the same argument, with the same settings, and its own secrets alone."""
    service, container = SERVICES[part], _container(part)
    assert container["args"] == service["command"]
    maps = [one["configMapRef"]["name"] for one in container.get("envFrom", [])]
    files = [f"{CONFIG}/{name.split('-')[1]}.env" for name in maps]
    secrets = {
        one["valueFrom"]["secretKeyRef"]["name"].removeprefix("kuji-")
        for one in container["env"]
        if "valueFrom" in one and "secretKeyRef" in one["valueFrom"]
    }
    assert [*files, *(f"secrets/{name}.env" for name in secrets)] == service["env_file"]
    assert [] == [file for file in files if not (ROOT / file).is_file()]


@pytest.mark.parametrize("part", ["envoy", "valkey", "postgres"])
def test_compose_runs_the_programs_of_others_as_kubernetes_does(part: str) -> None:
    """Redis answers after the fsync and evicts nothing; all of it is the manifests' own."""
    service, container = SERVICES[part], _container(part)
    assert [*container.get("command", []), *container["args"]] == [
        *service.get("entrypoint", []),
        *service["command"],
    ]


def test_compose_closes_what_is_ours() -> None:
    """A read-only root, no capability, and one port for all, on this machine alone."""
    for name in (*OURS, "envoy"):
        service = SERVICES[name]
        assert service["read_only"]
        assert ["ALL"] == service["cap_drop"]
        assert ["no-new-privileges:true"] == service["security_opt"]
        assert ["/tmp"] == service["tmpfs"]
    open_ports = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert {"envoy": ["${KUJI_EDGE_ADDRESS:-127.0.0.1}:${KUJI_EDGE_PORT:-8080}:8080"]} == open_ports
    assert COMPOSE["networks"]["stores"]["internal"]


def test_compose_finds_the_secrets_that_kuji_makes(tmp_path: Path) -> None:
    """Each file that it names is made, for the owner's eyes alone, and never a second time."""
    folder = tmp_path / "secrets"
    written = {f"secrets/{file.name}" for file in write_secret_files(folder)}
    named = {file for one in SERVICES.values() for file in one.get("env_file", [])}
    mounted = {text.split(":")[0] for text in SERVICES["valkey"]["volumes"]}
    assert written == {file for file in named if file.startswith("secrets/")} | {
        text.removeprefix("./") for text in mounted if text.startswith("./secrets/")
    }
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
    assert 0o644 == modes.pop("users.acl")
    assert {0o600} == set(modes.values())
    with pytest.raises(OperatorError, match="holds something already"):
        write_secret_files(folder)


def test_compose_holds_no_secret() -> None:
    """Neither it nor the settings that it reads."""
    texts = [ROOT / "compose.yaml", *(ROOT / CONFIG).glob("*.env")]
    lines = [line for path in texts for line in path.read_text().replace("$$", "").splitlines()]
    assert [] == [line for line in lines if re.search(r"(PASSWORD|SECRET|KEY|DSN|URL)=[^\"]", line)]
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()

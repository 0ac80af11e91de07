"""What k8s/ renders to, by the real kubectl."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import yaml

from stack.processes import ROOT

Object: TypeAlias = Mapping[str, Any]
Objects: TypeAlias = Sequence[Object]

KUBECTL = Path(sys.executable).with_name("kubectl")
FOLDER = ROOT / "k8s"
OVERLAYS = ("dev", "prod")
COMPONENTS = tuple(sorted(path.name for path in (FOLDER / "components").iterdir()))
NAME = "app.kubernetes.io/name"
_WITH_PODS = ("Deployment", "StatefulSet", "Job")


@lru_cache
def rendered(overlay: str, *components: str, digest: str = "") -> Objects:
    """The objects of *overlay*, with *components* besides, and our image by *digest*."""
    with TemporaryDirectory() as own:
        content = {
            "resources": [relpath(FOLDER / "overlays" / overlay, own)],
            "components": [relpath(FOLDER / "components" / name, own) for name in components],
            "images": [{"name": "kuji", "digest": digest}] if digest else [],
        }
        (Path(own) / "kustomization.yaml").write_text(yaml.safe_dump(content), "utf-8")
        return tuple(render(Path(own)))


def components_for(overlay: str) -> list[str]:
    """The components that *overlay* could have besides."""
    text = (FOLDER / "overlays" / overlay / "kustomization.yaml").read_text("utf-8")
    there = {Path(path).name for path in yaml.safe_load(text).get("components", [])}
    unfit = {"external-secrets"} if overlay == "dev" else set()  # it makes its own
    return [name for name in COMPONENTS if name not in there | unfit]


def render(folder: Path) -> list[Object]:
    """The objects of the kustomization in *folder*."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of_kind(objects: Iterable[Object], *kinds: str) -> list[Object]:
    """Those of *kinds*."""
    return [one for one in objects if one["kind"] in kinds]


def named(objects: Iterable[Object], kind: str) -> dict[str, Object]:
    """Those of *kind*, by name."""
    return {one["metadata"]["name"]: one for one in of_kind(objects, kind)}


def name_of(one: Object) -> str:
    """Kind and name, for messages."""
    return f"{one['kind']}/{one['metadata']['name']}"


def workloads(objects: Iterable[Object]) -> dict[str, Object]:
    """What makes pods, by name."""
    return {one["metadata"]["name"]: one for one in of_kind(objects, *_WITH_PODS)}


def labels_of(workload: Object) -> Mapping[str, str]:
    """The labels of its pods."""
    found: Mapping[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return found


def pod_of(workload: Object) -> Object:
    """The spec of its pods."""
    found: Object = workload["spec"]["template"]["spec"]
    return found


def containers_of(workload: Object) -> Iterator[Object]:
    """All containers of its pods, those that run first among them."""
    pod = pod_of(workload)
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether *selector* chooses what has *labels*."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In", one
        if labels.get(one["key"]) not in one["values"]:
            return False
    return True


def port_numbers(workload: Object) -> dict[str, int]:
    """The ports that its containers name."""
    return {
        port["name"]: port["containerPort"]
        for container in containers_of(workload)
        for port in container.get("ports", [])
    }

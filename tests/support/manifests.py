"""What k8s/ renders to, by the real kubectl."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import yaml

from stack.processes import ROOT

Object: TypeAlias = Mapping[str, Any]

KUBECTL = Path(sys.executable).with_name("kubectl")
FOLDER = ROOT / "k8s"
OVERLAYS = ("dev",)
_WITH_PODS = ("Deployment", "StatefulSet", "Job")


@lru_cache
def rendered(overlay: str, components: tuple[str, ...] = ()) -> Sequence[Object]:
    """The objects of *overlay*, with *components* besides."""
    with TemporaryDirectory() as own:
        content = {
            "resources": [relpath(FOLDER / "overlays" / overlay, own)],
            "components": [relpath(FOLDER / "components" / name, own) for name in components],
        }
        (Path(own) / "kustomization.yaml").write_text(yaml.safe_dump(content), "utf-8")
        return tuple(render(Path(own)))


def render(folder: Path) -> list[Object]:
    """The objects of the kustomization in *folder*."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of_kind(objects: Sequence[Object], *kinds: str) -> list[Object]:
    """Those of *kinds*."""
    return [one for one in objects if one["kind"] in kinds]


def name_of(one: Object) -> str:
    """Kind and name, for messages."""
    return f"{one['kind']}/{one['metadata']['name']}"


def workloads(objects: Sequence[Object]) -> dict[str, Object]:
    """What makes pods, by name."""
    return {one["metadata"]["name"]: one for one in of_kind(objects, *_WITH_PODS)}


def pod_of(workload: Object) -> Object:
    """The spec of its pods."""
    found: Object = workload["spec"]["template"]["spec"]
    return found


def containers_of(workload: Object) -> Iterator[Object]:
    """All containers of its pods, those that run first among them."""
    pod = pod_of(workload)
    yield from pod.get("initContainers", [])
    yield from pod["containers"]

"""A pod as Kubernetes would run it, from a rendered manifest, by podman."""

import base64
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.manifests import Object, pod_of

_PODMAN_S = 120
_LIFE_S = 900  # whatever becomes of this process, no container outlives it by more
# What these machines take; runc asks for more than they have otherwise.
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1000:1000")


def podman(*arguments: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """How podman ended, and what it printed."""
    done = subprocess.run(
        ["podman", "--runtime", "runc", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=_PODMAN_S,
    )
    assert not check or done.returncode == 0, f"podman {arguments[0]}: {done.stdout}{done.stderr}"
    return done


@dataclass
class Cluster:
    """
    What pods refer to.

    Args:
        name: Unique on this machine.
        folder: For their volumes and environments.
        objects: The rendered manifests, and the Secrets.
        hosts: Name → address of each Service.
        images: Image of the manifests, without tag → the one that is here.
        extra: Image → more options of podman for it.
    """

    name: str
    folder: Path
    objects: Sequence[Object]
    hosts: Mapping[str, str]
    images: Mapping[str, str]
    extra: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def find(self, kind: str, name: str) -> Object:
        """The object *kind* *name*."""
        return next(
            one for one in self.objects if (kind, name) == (one["kind"], one["metadata"]["name"])
        )

    def content(self, kind: str, name: str) -> dict[str, str]:
        """What the ConfigMap or Secret *name* holds."""
        found = self.find(kind, name)
        encoded = found.get("data", {})
        if kind == "Secret":
            encoded = {key: base64.b64decode(text).decode() for key, text in encoded.items()}
        return {**encoded, **found.get("stringData", {})}


class Pod:
    """
    The pod of one workload.

    Args:
        cluster: What it refers to.
        workload: The manifest.
        namespace: File of its network namespace.
        address: Its address.
    """

    def __init__(self, cluster: Cluster, workload: Object, namespace: Path, address: str) -> None:
        self.name: str = workload["metadata"]["name"]
        self.address = address
        self.spec = pod_of(workload)
        self._cluster = cluster
        self._namespace = namespace
        self._folder: Path = cluster.folder / self.name
        self._volumes: dict[str, Path] = {
            one["name"]: self._volume(one) for one in self.spec.get("volumes", [])
        }

    @property
    def container(self) -> Object:
        """The container that does its work."""
        (found,) = self.spec["containers"]
        result: Object = found
        return result

    @property
    def process(self) -> str:
        """What podman calls that container."""
        return f"{self._cluster.name}-{self.name}"

    def run_first(self) -> None:
        """Run what runs before it, to its end."""
        for container in self.spec.get("initContainers", []):
            podman("run", "--rm", *self._options(container, f"{self.process}-first"))

    def run_to_end(self, *instead: str, secret: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a Job's pod, or the same with the arguments *instead* and all that *secret* holds."""
        container = dict(self.container)
        if instead:
            container |= {"args": instead, "envFrom": [{"secretRef": {"name": secret}}]}
        return podman("run", "--rm", *self._options(container, self.process), check=False)

    def start(self) -> None:
        """Start it; see passes()."""
        podman("run", "--detach", *self._options(self.container, self.process))

    def passes(self, probe: str) -> bool:
        """Whether its *probe* succeeds, once."""
        wanted = self.container[f"{probe}Probe"]
        timeout_s = wanted.get("timeoutSeconds", 1)
        if "grpc" in wanted:
            return self._speaks_grpc(wanted["grpc"], timeout_s)
        return self._speaks_http(wanted["httpGet"], timeout_s)

    def wait_until(self, probe: str, passes: bool = True) -> None:
        """Ask *probe* as often, and for as long, as its startup probe may take."""
        first = self.container["startupProbe"]
        period_s = first["periodSeconds"]
        deadline = time.monotonic() + period_s * first["failureThreshold"]
        while self.passes(probe) is not passes:
            assert time.monotonic() < deadline, f"{self.name} {probe}: {self.log()}"
            assert self.is_running(), self.log()
            time.sleep(period_s / 4)

    def is_running(self) -> bool:
        """Whether its process has not ended."""
        said = podman("container", "inspect", "--format", "{{.State.Running}}", self.process)
        return said.stdout.strip() == "true"

    def pid(self) -> int:
        """Its process, as this machine counts."""
        said = podman("container", "inspect", "--format", "{{.State.Pid}}", self.process)
        return int(said.stdout)

    def log(self) -> str:
        """What it has said."""
        said = podman("logs", "--tail", "200", self.process, check=False)
        return said.stdout + said.stderr

    def stop(self) -> int:
        """End it as the kubelet does; its exit code, 137 where its grace was over."""
        grace_s = self.spec["terminationGracePeriodSeconds"]
        podman("stop", "--time", str(grace_s), self.process)
        said = podman("container", "inspect", "--format", "{{.State.ExitCode}}", self.process)
        return int(said.stdout)

    def remove(self) -> None:
        """Leave nothing of it."""
        podman("rm", "--force", "--ignore", "--time", "0", self.process, check=False)

    def _options(self, container: Object, name: str) -> list[str]:
        image = container["image"].partition("@")[0].rpartition("/")[2].partition(":")[0]
        own, pod = container.get("securityContext", {}), self.spec.get("securityContext", {})
        command = container.get("command", [])
        return [
            *("--name", name, "--timeout", str(_LIFE_S), "--network", f"ns:{self._namespace}"),
            *("--pull", "never", "--hostname", self.name, "--user", self._user(own, pod)),
            *("--group-add", str(pod["fsGroup"]), "--env-file", str(self._environment(container))),
            *(["--read-only", "--read-only-tmpfs=false"] if own["readOnlyRootFilesystem"] else []),
            *(f"--cap-drop={name}" for name in own["capabilities"]["drop"]),
            *([] if own["allowPrivilegeEscalation"] else ["--security-opt=no-new-privileges"]),
            *(f"--add-host={name}:{address}" for name, address in self._cluster.hosts.items()),
            *(f"--volume={self._mount(one)}" for one in container.get("volumeMounts", [])),
            *([f"--entrypoint={command[0]}"] if command else []),
            *LIMITS,
            *self._cluster.extra.get(image, ()),
            self._cluster.images[image],
            *command[1:],
            *container.get("args", []),
        ]

    def _user(self, own: Object, pod: Object) -> str:
        names = ("runAsUser", "runAsGroup")
        return ":".join(str(own.get(name, pod.get(name))) for name in names)

    def _mount(self, mount: Object) -> str:
        mode = ":ro" if mount.get("readOnly") else ""
        return f"{self._volumes[mount['name']]}:{mount['mountPath']}{mode}"

    def _volume(self, volume: Object) -> Path:
        """An emptyDir as the kubelet makes it: everybody's, and of the pod's group."""
        assert "emptyDir" in volume, volume
        path = self._folder / str(volume["name"])
        path.mkdir(parents=True)
        os.chown(path, 0, self.spec["securityContext"]["fsGroup"])
        path.chmod(0o2777)
        return path

    def _environment(self, container: Object) -> Path:
        """A file, so that no secret is in a command line."""
        values = dict(self._variables(container))
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{container['name']}.env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={text}\n" for name, text in values.items()))
        return file

    def _variables(self, container: Object) -> Iterator[tuple[str, str]]:
        for source in container.get("envFrom", []):
            kind = "ConfigMap" if "configMapRef" in source else "Secret"
            reference = source.get("configMapRef") or source["secretRef"]
            yield from self._cluster.content(kind, reference["name"]).items()
        for variable in container.get("env", []):
            text = self._value(variable)
            if text is not None:
                yield variable["name"], text

    def _value(self, variable: Object) -> str | None:
        source = variable.get("valueFrom")
        if source is None:
            return str(variable["value"])
        if "fieldRef" in source:
            return self._field(source["fieldRef"]["fieldPath"])
        kind = "ConfigMap" if "configMapKeyRef" in source else "Secret"
        reference = source.get("configMapKeyRef") or source["secretKeyRef"]
        found = self._cluster.content(kind, reference["name"]).get(reference["key"])
        assert found is not None or reference.get("optional"), reference
        return found

    def _field(self, path: str) -> str:
        known: Mapping[str, str] = {
            "metadata.name": f"{self.name}-0",
            "metadata.namespace": "kuji",
            "spec.nodeName": "node",
            "status.podIP": self.address,
        }
        return known[path]

    def _port(self, wanted: int | str) -> int:
        named = {one["name"]: one["containerPort"] for one in self.container["ports"]}
        return wanted if isinstance(wanted, int) else int(named[wanted])

    def _speaks_grpc(self, probe: Object, timeout_s: float) -> bool:
        address = f"{self.address}:{self._port(probe['port'])}"
        command = [sys.executable, "-m", "services.common.health_check", address]
        try:
            done = subprocess.run(
                [*command, probe.get("service", "")],
                check=False,
                capture_output=True,
                timeout=timeout_s + 5,  # to start Python on a busy machine
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _speaks_http(self, probe: Object, timeout_s: float) -> bool:
        connection = http.client.HTTPConnection(
            self.address, self._port(probe["port"]), timeout=timeout_s
        )
        try:
            connection.request("GET", probe["path"])
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def until(seen: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
    """Return once *seen* is true."""
    deadline = time.monotonic() + timeout_s
    while not seen():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)

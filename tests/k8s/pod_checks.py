"""What has to hold of every pod; each check gives a sentence for each thing that is wrong."""

import re
from importlib.metadata import version

from ops.cli import COMMANDS
from tests.k8s.checks import Problems
from tests.k8s.environment import SERVICES, ours
from tests.support.manifests import (
    Object,
    Objects,
    containers_of,
    labels_of,
    name_of,
    named,
    of_kind,
    pod_of,
    selects,
    workloads,
)

_BY_DIGEST = re.compile(r"[\w./-]+@sha256:[0-9a-f]{64}")
_VOLUMES = {"configMap", "emptyDir", "secret", "persistentVolumeClaim", "projected"}


def pods_are_closed(objects: Objects) -> Problems:
    """Pod Security "restricted", which the namespace enforces; and nothing can be written."""
    (namespace,) = of_kind(objects, "Namespace")
    if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "the namespace does not enforce restricted pods"
    for workload in workloads(objects).values():
        pod, name = pod_of(workload), name_of(workload)
        yield from (f"{name}: {text}" for text in _open_doors(pod))
        for container in containers_of(workload):
            yield from (f"{name} {container['name']}: {text}" for text in _way_out(container))


def _open_doors(pod: Object) -> Problems:
    context = pod["securityContext"]
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "it may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "no seccomp profile"
    if any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "it is in the node's namespaces"
    if pod.get("enableServiceLinks") is not False:
        yield "Services are put into its environment"
    if pod.get("automountServiceAccountToken") is not False:
        yield "it gets a token for the API"
    for volume in pod.get("volumes", []):
        if not volume.keys() & _VOLUMES:
            yield f"volume {volume}"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"{volume['name']} has no limit"


def _way_out(container: Object) -> Problems:
    context = container["securityContext"]
    if context.get("allowPrivilegeEscalation") is not False:
        yield "it may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "its root can be written"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "it keeps capabilities"
    if context.keys() & {"privileged", "runAsUser", "runAsNonRoot"}:
        yield f"it goes its own way: {context}"


def pods_have_their_measure(objects: Objects) -> Problems:
    """Each asks for CPU and memory, and is held to its memory."""
    for workload in workloads(objects).values():
        for container in containers_of(workload):
            resources = container.get("resources", {})
            asked = resources.get("requests", {}).keys()
            if asked != {"cpu", "memory"} or "memory" not in resources.get("limits", {}):
                yield f"{name_of(workload)} {container['name']}: {resources}"
            if container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
                yield f"{name_of(workload)} {container['name']} ends without a word"


def images_are_fixed(objects: Objects) -> Problems:
    """Others' images by digest; ours by this version, which a release replaces by a digest."""
    for workload in workloads(objects).values():
        for container in containers_of(workload):
            image = container["image"]
            if image != f"kuji:{version('kuji-platform')}" and not _BY_DIGEST.fullmatch(image):
                yield f"{name_of(workload)}: {image}"


def arguments_are_known(objects: Objects) -> Problems:
    """The entrypoint takes a part, or a command of `kuji`."""
    for workload in workloads(objects).values():
        for container, _ in ours(workload):
            if container["args"][0] not in COMMANDS.keys() | SERVICES.keys():
                yield f"{name_of(workload)}: {container['args']}"
            if "command" in container:
                yield f"{name_of(workload)}: the entrypoint is passed by"


def pods_are_looked_after(objects: Objects) -> Problems:
    """Each has an account, a class and labels of its own; several of one are spread and kept up."""
    accounts, classes = named(objects, "ServiceAccount"), named(objects, "PriorityClass")
    for name, workload in workloads(objects).items():
        pod = pod_of(workload)
        account = accounts.get(pod.get("serviceAccountName", ""))
        if account is None or account.get("automountServiceAccountToken") is not False:
            yield f"{name}: account {pod.get('serviceAccountName')}"
        if pod.get("priorityClassName") not in classes:
            yield f"{name}: class {pod.get('priorityClassName')}"
        selector = workload["spec"].get("selector")
        if selector and not selects(selector, labels_of(workload)):
            yield f"{name} does not select its own pods"
        if workload["kind"] == "Deployment":
            yield from _kept_up(name, workload, objects)


def _kept_up(name: str, workload: Object, objects: Objects) -> Problems:
    rolling = workload["spec"]["strategy"].get("rollingUpdate", {})
    if rolling.get("maxUnavailable") != 0:
        yield f"{name} has fewer pods while it is rolled"
    budgets = [
        one
        for one in of_kind(objects, "PodDisruptionBudget")
        if selects(one["spec"]["selector"], labels_of(workload))
    ]
    if len(budgets) != 1:
        yield f"{name} has {len(budgets)} budgets"
    constraints = pod_of(workload).get("topologySpreadConstraints", [])
    keys = {one["topologyKey"] for one in constraints}
    if not keys >= {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
        yield f"{name} is spread over {keys}"
    for one in constraints:
        if not selects(one["labelSelector"], labels_of(workload)):
            yield f"{name} is spread by what it is not: {one['labelSelector']}"


def configuration_rolls_pods(objects: Objects) -> Problems:
    """A ConfigMap that pods read has a name that ends in a hash of its content."""
    for name, one in named(objects, "ConfigMap").items():
        is_read = any(name in str(pod_of(workload)) for workload in workloads(objects).values())
        if is_read and not re.fullmatch(r"[a-z-]+-[0-9a-z]{10}", name):
            yield f"{name} changes unseen: {sorted(one['data'])}"


def autoscalers_fit(objects: Objects) -> Problems:
    """What is scaled exists, and its number is the autoscaler's alone."""
    parts = workloads(objects)
    for one in of_kind(objects, "HorizontalPodAutoscaler"):
        target = parts.get(one["spec"]["scaleTargetRef"]["name"])
        if target is None or "replicas" in target["spec"]:
            yield f"{name_of(one)} and the manifest both say how many"

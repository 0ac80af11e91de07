"""What has to hold of rendered objects; a check gives a sentence for each thing that is wrong."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from pydantic import ValidationError

from services.common.server.health import LIVE
from stack.edge.config import render
from stack.edge.container import container_edge
from stack.edge.contract import CLUSTERS
from stack.edge.settings import ContainerEdgeSettings
from tests.k8s.environment import SERVICES, environment_of, ours, read, secrets_of
from tests.k8s.network import Edge, allowed_edges, told_addresses, told_edges
from tests.support.manifests import (
    FOLDER,
    NAME,
    Object,
    Objects,
    containers_of,
    labels_of,
    name_of,
    named,
    of_kind,
    pod_of,
    port_numbers,
    selects,
    workloads,
)

Problems = Iterator[str]
Check = Callable[[Objects], Problems]

_LONGEST_REQUEST_S = 15  # of the edge: stack/edge/routes.py
_DRAINED = 0.8  # services/common/server/serve.py
_LOOKS_S = 4  # two of Envoy's, to see that a process is not ready
_TO_SPARE_S = 5
_UNSET_ALLOWED = {"KUJI_OTHER_CODE_KEY"}


def environments_fit(objects: Objects) -> Problems:
    """Each variable is one that the process reads, the required ones are there, and all are fit."""
    for workload in workloads(objects).values():
        for container, kind in ours(workload):
            place = f"{name_of(workload)} {container['name']}"
            environment = environment_of(container, objects)
            known = {f"KUJI_{name.upper()}" for name in kind.model_fields}
            for name in sorted(environment.keys() - known):
                yield f"{place}: nobody reads {name}"
            try:
                read(kind, environment)
            except ValidationError as error:
                yield from (f"{place}: {one['loc']} {one['msg']}" for one in error.errors())


def references_lead_somewhere(objects: Objects) -> Problems:
    """Every ConfigMap, Secret and key that a pod refers to is there, and every Secret is used."""
    secrets, used = secrets_of(objects), set()
    maps = {name: set(one["data"]) for name, one in named(objects, "ConfigMap").items()}
    for workload in workloads(objects).values():
        for kind, name, key in _references(workload):
            found = maps.get(name) if kind == "map" else secrets.get(name)
            if found is None or (key and key not in found and key not in _UNSET_ALLOWED):
                yield f"{name_of(workload)} refers to {name} {key}, which is nowhere"
            used.add((name, key))
    used |= {
        (one["spec"]["ca"]["secretName"], "")
        for one in of_kind(objects, "Issuer")
        if "ca" in one["spec"]
    }
    read_elsewhere = {"KUJI_REDIS_URL"}  # of kuji-operator, by people
    for name, content in secrets.items():
        for key in set(content) - {key for one, key in used if one == name} - read_elsewhere:
            if (name, "") not in used:
                yield f"nobody uses {key} of {name}"


def _references(workload: Object) -> Iterator[tuple[str, str, str]]:
    for container in containers_of(workload):
        for source in container.get("envFrom", []):
            yield "map", source["configMapRef"]["name"], ""
        for one in container.get("env", []):
            if "valueFrom" in one:
                reference = one["valueFrom"]["secretKeyRef"]
                yield "secret", reference["name"], reference["key"]
    for volume in pod_of(workload).get("volumes", []):
        if "configMap" in volume:
            yield "map", volume["configMap"]["name"], ""
        if "secret" in volume:
            keys = [item["key"] for item in volume["secret"].get("items", [])]
            yield from (("secret", volume["secret"]["secretName"], key) for key in keys or [""])


def ports_agree(objects: Objects) -> Problems:
    """Pods open what their processes listen on, Services lead there, and callers name Services."""
    for name, workload in workloads(objects).items():
        for container, kind in ours(workload):
            if container["args"][0] in SERVICES:
                settings: Any = read(kind, environment_of(container, objects))
                wanted = {
                    "grpc": _port(settings.listen),
                    "health": _port(settings.health_listen),
                    "metrics": _port(settings.metrics_listen),
                }
                if port_numbers(workload) != wanted:
                    yield f"{name} listens on {wanted}, opens {port_numbers(workload)}"
    for name, service in named(objects, "Service").items():
        yield from _leads_to_its_pods(name, service, objects)
    services = named(objects, "Service")
    for edge in told_addresses(objects):
        if edge.callee in services:
            yield from _takes(edge, services[edge.callee])


def _takes(edge: Edge, service: Object) -> Problems:
    names = {one["port"]: one["name"] for one in service["spec"]["ports"]}
    if edge.port not in names:
        yield f"{edge.caller} calls {edge.callee}:{edge.port}, which the Service has not"
    elif names[edge.port] == "grpc" and service["spec"].get("clusterIP") != "None":
        yield f"{edge.caller} would reach but one pod of {edge.callee}: it is not headless"


def _leads_to_its_pods(name: str, service: Object, objects: Objects) -> Problems:
    selector = {"matchLabels": service["spec"]["selector"]}
    behind = [one for one in workloads(objects).values() if selects(selector, labels_of(one))]
    if [labels_of(one)[NAME] for one in behind] != [name]:
        yield f"Service {name} leads to {[name_of(one) for one in behind]}"
    for port in service["spec"]["ports"]:
        if not any(port["targetPort"] in port_numbers(one) for one in behind):
            yield f"Service {name} leads to a port {port['targetPort']} that nobody opens"


def _ports(service: Object) -> list[int]:
    return [one["port"] for one in service["spec"]["ports"]]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def edge_leads_to_services(objects: Objects) -> Problems:
    """The clusters of the configuration that the edge will have are Services and their ports."""
    envoy = workloads(objects)["envoy"]
    ((container, kind),) = ours(envoy)
    settings = read(kind, environment_of(container, objects))
    assert isinstance(settings, ContainerEdgeSettings)
    folder = container["args"][1]
    text = render(container_edge(settings), FOLDER / "etc")["envoy.yaml"]
    resources = yaml.safe_load(text)["static_resources"]
    services = named(objects, "Service")
    for cluster in resources["clusters"]:
        if cluster["name"] in CLUSTERS:
            for address in _endpoints(cluster):
                ports = _ports(services[cluster["name"]])
                if address["address"] != cluster["name"] or address["port_value"] not in ports:
                    yield f"cluster {cluster['name']} leads to {address}"
    listeners = {one["name"]: one["address"] for one in resources["listeners"]}
    opened = port_numbers(envoy)
    for name, names in (("edge", ("http", "https")), ("status", ("status",))):
        if listeners[name]["socket_address"]["port_value"] not in map(opened.get, names):
            yield f"listener {name} is at {listeners[name]}, the pod opens {opened}"
    (proxy,) = pod_of(envoy)["containers"]
    if f"{folder}/envoy.yaml" not in proxy["args"]:
        yield f"Envoy does not read what is written to {folder}"


def _endpoints(cluster: Object) -> Iterator[Object]:
    for locality in cluster["load_assignment"]["endpoints"]:
        for one in locality["lb_endpoints"]:
            yield one["endpoint"]["address"]["socket_address"]


def certificates_name_services(objects: Objects) -> Problems:
    """Whoever is called by TLS shows a certificate with the name that it is called by."""
    names = {
        one["spec"]["secretName"]: one["spec"].get("dnsNames", [])
        for one in of_kind(objects, "Certificate")
    }
    parts = workloads(objects)
    for edge in told_addresses(objects):
        mounted = pod_of(parts[edge.callee]).get("volumes", []) if edge.callee in parts else []
        shown = [
            one["secret"]["secretName"] for one in mounted if one["name"] in ("tls", "edge-tls")
        ]
        if shown and not all(edge.callee in names.get(secret, []) for secret in shown):
            yield f"{edge.callee} is called by that name, which {shown} have not"
    for name, workload in parts.items():
        for container, kind in ours(workload):
            told: Any = read(kind, environment_of(container, objects))
            if names and container["args"][0] != "migrate" and not _has_tls(told):
                yield f"{name} speaks in the clear"


def _has_tls(told: Any) -> bool:  # settings of any kind
    return bool(getattr(told, "tls", None) or getattr(told, "edge_ca_file", None))


def probes_differ(objects: Objects) -> Problems:
    """Alive is asked by name, ready by none; what is alive for long is not ready for long, too."""
    for name, workload in workloads(objects).items():
        if workload["kind"] == "Job":
            continue
        for container in pod_of(workload)["containers"]:
            startup, ready, live = (
                container.get(f"{which}Probe") for which in ("startup", "readiness", "liveness")
            )
            if not (startup and ready and live):
                yield f"{name} lacks a probe"
                continue
            if _patience_s(live) < 3 * _patience_s(ready):
                yield f"{name} is restarted about as soon as it gets no calls"
            if name in SERVICES:
                asked = [probe["grpc"].get("service", "") for probe in (startup, ready, live)]
                if asked != [LIVE, "", LIVE]:
                    yield f"{name} is asked for {asked}"
                health = port_numbers(workload)["health"]
                if {probe["grpc"]["port"] for probe in (startup, ready, live)} != {health}:
                    yield f"{name} is probed elsewhere than on {health}"


def _patience_s(probe: Object) -> int:
    return int(probe["periodSeconds"]) * int(probe["failureThreshold"])


def ends_leave_time(objects: Objects) -> Problems:
    """A pod is told of its end in time, and is killed only after its longest request."""
    for name, workload in workloads(objects).items():
        if workload["kind"] != "Deployment":
            continue
        grace = pod_of(workload)["terminationGracePeriodSeconds"]
        (container,) = pod_of(workload)["containers"]
        if name == "envoy":
            pause = _seconds_slept(container["lifecycle"]["preStop"])
            drain = int(container["args"][container["args"].index("--drain-time-s") + 1])
            if not _LONGEST_REQUEST_S <= drain < pause < grace:
                yield f"envoy drains {drain} s, waits {pause} s, and is killed after {grace} s"
            continue
        settings: Any = read(dict(SERVICES)[name], environment_of(container, objects))
        if settings.drain_s * _DRAINED < _LONGEST_REQUEST_S:
            yield f"{name} drains {settings.drain_s} s"
        pause = _seconds_slept(container["lifecycle"]["preStop"])
        end = pause + settings.stop_delay_s + settings.drain_s
        if not 0 < pause or settings.stop_delay_s < _LOOKS_S or end + _TO_SPARE_S > grace:
            yield f"{name} is killed after {grace} s"


def _seconds_slept(hook: Object) -> int:
    if "sleep" in hook:
        return int(hook["sleep"]["seconds"])
    slept = re.search(r"sleep (\d+)$", " ".join(hook["exec"]["command"]))
    return int(slept[1]) if slept else 0


def network_is_what_is_used(objects: Objects) -> Problems:
    """The policies let exactly those connections pass that the processes are told to make."""
    told, allowed = told_edges(objects), allowed_edges(objects)
    yield from (f"no policy lets {edge} pass" for edge in sorted(told - allowed))
    yield from (f"nobody makes {edge}, and it may pass" for edge in sorted(allowed - told))
    for policy in of_kind(objects, "NetworkPolicy"):
        door = policy["metadata"]["name"] == "envoy"
        if not door and any("from" not in rule for rule in policy["spec"].get("ingress", [])):
            yield f"{name_of(policy)} lets the whole world in"
    if not any(
        one["spec"]["podSelector"] == {}
        and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not one["spec"].get("ingress")
        and not one["spec"].get("egress")
        for one in of_kind(objects, "NetworkPolicy")
    ):
        yield "what no policy names is not denied"

"""Who may connect to whom: by the policies, and by what the processes are told."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.k8s.environment import environment_of, ours
from tests.support.manifests import (
    NAME,
    Object,
    Objects,
    labels_of,
    named,
    of_kind,
    port_numbers,
    selects,
    workloads,
)


class Edge(NamedTuple):
    """A connection from one part to another; *port* is the callee's."""

    caller: str
    callee: str
    port: int


def allowed_edges(objects: Objects) -> set[Edge]:
    """What the policies let pass between pods: the one may leave, and the other lets it in."""
    parts = workloads(objects)
    return {
        Edge(caller, callee, port)
        for (caller, one), (callee, other) in product(parts.items(), repeat=2)
        for port in port_numbers(other).values()
        if _passes("egress", "to", objects, one, other, port)
        and _passes("ingress", "from", objects, other, one, port)
    }


def _passes(way: str, peers: str, objects: Objects, own: Object, other: Object, port: int) -> bool:
    server = other if way == "egress" else own
    return any(
        _names_port(rule, server, port) and _names_peer(rule.get(peers), other)
        for policy in of_kind(objects, "NetworkPolicy")
        if selects(policy["spec"]["podSelector"], labels_of(own))
        for rule in policy["spec"].get(way, [])
    )


def _names_port(rule: Object, server: Object, port: int) -> bool:
    named = port_numbers(server)
    return any(named.get(one["port"], one["port"]) == port for one in rule["ports"])


def _names_peer(peers: list[Object] | None, other: Object) -> bool:
    if peers is None:
        return True
    return any(
        "namespaceSelector" not in peer
        and "podSelector" in peer
        and selects(peer["podSelector"], labels_of(other))
        for peer in peers
    )


def outward_ports(objects: Objects) -> dict[str, set[int]]:
    """Which ports outside the cluster the policies open, by who may go there."""
    return {
        name: {
            port["port"]
            for policy in of_kind(objects, "NetworkPolicy")
            if selects(policy["spec"]["podSelector"], labels_of(workload))
            for rule in policy["spec"].get("egress", [])
            if any("ipBlock" in peer for peer in rule["to"])
            for port in rule["ports"]
        }
        for name, workload in workloads(objects).items()
    }


def told_addresses(objects: Objects) -> set[Edge]:
    """Where the processes are told to connect to: names and ports of Services."""
    return {
        Edge(labels_of(workload)[NAME], host, port)
        for workload in workloads(objects).values()
        for container, _ in ours(workload)
        for host, port in _addresses(environment_of(container, objects))
    }


def told_edges(objects: Objects) -> set[Edge]:
    """The same from pod to pod, past the Services, within the namespace."""
    services = named(objects, "Service")
    return {
        edge._replace(port=_behind(services[edge.callee], edge.port, objects))
        for edge in told_addresses(objects)
        if edge.callee in services
    }


def _behind(service: Object, port: int, objects: Objects) -> int:
    target = next(
        (one["targetPort"] for one in service["spec"]["ports"] if one["port"] == port), ""
    )
    pod = workloads(objects)[service["metadata"]["name"]]
    return port_numbers(pod).get(target, 0)


def _addresses(environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    for name, value in environment.items():
        if name.endswith("_ADDRESS"):
            host, _, port = value.partition(":")
            yield host, int(port)
        elif name.endswith(("_DSN", "_URL")):
            place = urlsplit(value)
            yield str(place.hostname), int(place.port or 0)

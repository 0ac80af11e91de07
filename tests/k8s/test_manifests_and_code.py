"""The rendered objects say what the code says; and each of these checks can fail."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.k8s import checks, pod_checks
from tests.k8s.checks import Check
from tests.support.manifests import OVERLAYS, components_for, containers_of, rendered, workloads

CHECKS: list[Check] = [
    checks.environments_fit,
    checks.references_lead_somewhere,
    checks.ports_agree,
    checks.edge_leads_to_services,
    checks.certificates_name_services,
    checks.probes_differ,
    checks.ends_leave_time,
    checks.network_is_what_is_used,
    pod_checks.pods_are_closed,
    pod_checks.pods_have_their_measure,
    pod_checks.images_are_fixed,
    pod_checks.arguments_are_known,
    pod_checks.pods_are_looked_after,
    pod_checks.configuration_rolls_pods,
    pod_checks.autoscalers_fit,
]
Spoil = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_says_what_the_code_says(overlay: str, check: Check) -> None:
    """As it is, and with all components that it has not."""
    assert [] == list(check(rendered(overlay)))
    assert [] == list(check(rendered(overlay, *components_for(overlay))))


def _container(parts: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = parts[name]["spec"]["template"]["spec"]["containers"][0]
    return found


def _pod(parts: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = parts[name]["spec"]["template"]["spec"]
    return found


def _map(objects: dict[str, Any], name: str) -> dict[str, str]:
    data: dict[str, str]
    (data,) = (one["data"] for key, one in objects.items() if key.startswith(f"ConfigMap/{name}-"))
    return data


SPOILT: list[tuple[str, Check, Spoil]] = [
    (
        "unknown variable",
        checks.environments_fit,
        lambda parts, objects: _map(objects, "kuji-draw").update(KUJI_DRAWS="1"),
    ),
    (
        "unfit value",
        checks.environments_fit,
        lambda parts, objects: _map(objects, "kuji-history").update(KUJI_TIME_ZONE="Moon"),
    ),
    (
        "required variable gone",
        checks.environments_fit,
        lambda parts, objects: _map(objects, "kuji-admin").pop("KUJI_DRAW_ADDRESS"),
    ),
    (
        "secret of no name",
        checks.references_lead_somewhere,
        lambda parts, objects: _container(parts, "draw")["env"][0]["valueFrom"][
            "secretKeyRef"
        ].update(name="none"),
    ),
    (
        "secret unused",
        checks.references_lead_somewhere,
        lambda parts, objects: _container(parts, "auth")["env"].pop(),
    ),
    (
        "other port",
        checks.ports_agree,
        lambda parts, objects: _map(objects, "kuji-service").update(KUJI_LISTEN="0.0.0.0:50050"),
    ),
    (
        "Service with an address",
        checks.ports_agree,
        lambda parts, objects: objects["Service/auth"]["spec"].pop("clusterIP"),
    ),
    (
        "Service of another",
        checks.ports_agree,
        lambda parts, objects: objects["Service/auth"]["spec"]["selector"].update(
            {"app.kubernetes.io/name": "draw"}
        ),
    ),
    (
        "edge leads elsewhere",
        checks.edge_leads_to_services,
        lambda parts, objects: _map(objects, "kuji-envoy").update(
            KUJI_EDGE_DRAW_ADDRESS="draw:50052"
        ),
    ),
    (
        "certificate of another name",
        checks.certificates_name_services,
        lambda parts, objects: objects["Certificate/kuji-draw"]["spec"].update(dnsNames=["x"]),
    ),
    (
        "liveness asks for readiness",
        checks.probes_differ,
        lambda parts, objects: _container(parts, "draw")["livenessProbe"]["grpc"].pop("service"),
    ),
    (
        "killed while it drains",
        checks.ends_leave_time,
        lambda parts, objects: _pod(parts, "draw").update(terminationGracePeriodSeconds=20),
    ),
    (
        "no time to drain",
        checks.ends_leave_time,
        lambda parts, objects: _map(objects, "kuji-service").update(KUJI_DRAIN_S="5"),
    ),
    (
        "way that nobody goes",
        checks.network_is_what_is_used,
        lambda parts, objects: objects["NetworkPolicy/auth"]["spec"]["ingress"][0].pop("from"),
    ),
    (
        "way closed",
        checks.network_is_what_is_used,
        lambda parts, objects: objects["NetworkPolicy/draw"]["spec"].pop("egress"),
    ),
    (
        "root",
        pod_checks.pods_are_closed,
        lambda parts, objects: _pod(parts, "migrate")["securityContext"].pop("runAsNonRoot"),
    ),
    (
        "written root",
        pod_checks.pods_are_closed,
        lambda parts, objects: _container(parts, "envoy")["securityContext"].update(
            readOnlyRootFilesystem=False
        ),
    ),
    (
        "no limit",
        pod_checks.pods_have_their_measure,
        lambda parts, objects: _container(parts, "recorder")["resources"].pop("limits"),
    ),
    (
        "latest",
        pod_checks.images_are_fixed,
        lambda parts, objects: _container(parts, "envoy").update(image="envoyproxy/envoy:latest"),
    ),
    (
        "unknown command",
        pod_checks.arguments_are_known,
        lambda parts, objects: _container(parts, "migrate").update(args=["migration"]),
    ),
    (
        "no budget",
        pod_checks.pods_are_looked_after,
        lambda parts, objects: objects["PodDisruptionBudget/draw"]["spec"]["selector"].update(
            matchLabels={"app.kubernetes.io/name": "x"}
        ),
    ),
    (
        "name without a hash",
        pod_checks.configuration_rolls_pods,
        lambda parts, objects: (
            _container(parts, "draw")["envFrom"][0]["configMapRef"].update(name="kuji-service")
            or [
                one["metadata"].update(name="kuji-service")
                for key, one in objects.items()
                if key.startswith("ConfigMap/kuji-service-")
            ]
        ),
    ),
    (
        "two who say how many",
        pod_checks.autoscalers_fit,
        lambda parts, objects: parts["draw"]["spec"].update(replicas=3),
    ),
]


@pytest.mark.parametrize(("what", "check", "spoil"), SPOILT, ids=[one[0] for one in SPOILT])
def test_check_finds_what_is_wrong(what: str, check: Check, spoil: Spoil) -> None:
    """The objects of an overlay with one thing spoilt do not pass."""
    of_prod = (pod_checks.autoscalers_fit, checks.certificates_name_services)
    overlay = "prod" if check in of_prod else "dev"
    objects = deepcopy([dict(one) for one in rendered(overlay)])
    by_name = {f"{one['kind']}/{one['metadata']['name']}": one for one in objects}
    spoil({name: dict(one) for name, one in workloads(objects).items()}, by_name)
    assert list(check(objects)), what


def test_every_check_is_seen_to_fail() -> None:
    """None is there that nothing can offend."""
    assert {check.__name__ for check in CHECKS} == {check.__name__ for _, check, _ in SPOILT}


def test_release_puts_its_digest_into_every_pod() -> None:
    """As docs/kubernetes.md says: in one place, and so in all containers and Jobs of ours."""
    digest = f"sha256:{'1f' * 32}"
    by_digest, by_version = (workloads(rendered("prod", digest=one)) for one in (digest, ""))
    for name, workload in by_version.items():
        images = [one["image"] for one in containers_of(workload)]
        expected = [f"kuji@{digest}" if one.startswith("kuji:") else one for one in images]
        assert expected == [one["image"] for one in containers_of(by_digest[name])]

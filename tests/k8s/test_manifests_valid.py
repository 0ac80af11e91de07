"""Every object that k8s/ renders to is one that the API server of a current Kubernetes takes."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions
from packaging.version import Version
from referencing import Registry, Resource

from tests.support.manifests import OVERLAYS, components_for, name_of, rendered

_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"
RELEASES = sorted(set(all_versions()), key=Version)[-2:]
# Their schemas are their operators'; docs/kubernetes.md says what was looked at, and how.
OF_OPERATORS = {"ExternalSecret", "Certificate", "Issuer", "PodMonitor", "PrometheusRule"}


@lru_cache
def _registry(release: str) -> Registry[Any]:
    path = _SCHEMAS / f"v{release}-local-strict" / "_definitions.json"
    definitions = json.loads(path.read_text("utf-8"))
    return Resource.from_contents(definitions) @ Registry()


@lru_cache
def _validator(release: str, kind: str, api_version: str) -> Draft202012Validator:
    group, _, version = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.partition(".")[0], version)))
    path = _SCHEMAS / f"v{release}-local-strict" / f"{name}.json"
    return Draft202012Validator(json.loads(path.read_text("utf-8")), registry=_registry(release))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_objects_are_valid_in_a_release(overlay: str, release: str) -> None:
    """Strictly: a field that the API does not know is refused; the same with all components."""
    objects = [*rendered(overlay), *rendered(overlay, *components_for(overlay))]
    known = [one for one in objects if one["kind"] not in OF_OPERATORS]
    assert len(known) > 60
    problems = [
        (name_of(one), error.json_path, error.message)
        for one in known
        for error in _validator(release, one["kind"], one["apiVersion"]).iter_errors(one)
    ]
    assert [] == problems


def test_field_is_refused_when_the_api_does_not_know_it() -> None:
    """What would pass in silence: a misspelt field, deep inside."""
    assert len(set(RELEASES)) == 2
    (one, *_) = (one for one in rendered("dev") if one["kind"] == "Deployment")
    spoilt = json.loads(json.dumps(one).replace("minReadySeconds", "minReadySecond"))
    deeper = json.loads(json.dumps(one).replace("failureThreshold", "failuresThreshold"))
    validator = _validator(RELEASES[-1], "Deployment", "apps/v1")
    assert [True, False, False] == [validator.is_valid(each) for each in (one, spoilt, deeper)]

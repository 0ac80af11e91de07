"""Every object that k8s/ renders to is one that the API server of a current Kubernetes takes."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions
from referencing import Registry, Resource

from tests.support.manifests import OVERLAYS, name_of, rendered

_SCHEMAS = files("kubernetes_validate") / "kubernetes-json-schema"
RELEASES = all_versions()[-2:]


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
    """Strictly: a field that the API does not know is refused."""
    objects = rendered(overlay)
    assert len(objects) > 30
    problems = [
        (name_of(one), error.json_path, error.message)
        for one in objects
        for error in _validator(release, one["kind"], one["apiVersion"]).iter_errors(one)
    ]
    assert [] == problems

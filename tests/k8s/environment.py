"""The environment of each container, Secrets included, and what its process makes of it."""

import os
from collections.abc import Iterator, Mapping
from unittest.mock import patch

from pydantic_settings import BaseSettings

from ops.cluster_secrets import secret_list
from ops.connections import OpsSettings
from services.admin.settings import AdminSettings
from services.auth.settings import AuthSettings
from services.draw.settings import DrawSettings
from services.history.settings import HistorySettings
from services.recorder.settings import RecorderSettings
from stack.edge.settings import ContainerEdgeSettings
from tests.support.manifests import Object, Objects, containers_of, named, of_kind

SERVICES: Mapping[str, type[BaseSettings]] = {
    "auth": AuthSettings,
    "draw": DrawSettings,
    "admin": AdminSettings,
    "history": HistorySettings,
    "recorder": RecorderSettings,
}


def settings_of(container: Object) -> type[BaseSettings] | None:
    """What the process of *container* reads; None where it is not of our image."""
    if not container["image"].startswith("kuji:"):
        return None
    command = container["args"][0]
    kinds: dict[str, type[BaseSettings]] = {**SERVICES, "edge-config": ContainerEdgeSettings}
    return kinds.get(command, OpsSettings)


def secrets_of(objects: Objects) -> dict[str, dict[str, str]]:
    """The Secrets that there will be: from `kuji secrets`, or where *objects* take them from."""
    made = {one["metadata"]["name"]: one["stringData"] for one in secret_list("kuji")["items"]}
    external = of_kind(objects, "ExternalSecret")
    if external:
        made = {
            one["spec"]["target"]["name"]: {
                entry["secretKey"]: made[one["spec"]["target"]["name"]].get(entry["secretKey"], "")
                for entry in one["spec"]["data"]
            }
            for one in external
        }
    for certificate in of_kind(objects, "Certificate"):
        made[certificate["spec"]["secretName"]] = dict.fromkeys(
            ("tls.crt", "tls.key", "ca.crt"), ""
        )
    return made


def environment_of(container: Object, objects: Objects) -> dict[str, str]:
    """Its variables, with their values; KeyError where what it refers to is not there."""
    maps, secrets = named(objects, "ConfigMap"), secrets_of(objects)
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]["data"]
    for one in container.get("env", []):
        if "value" in one:
            found[one["name"]] = one["value"]
            continue
        reference = one["valueFrom"]["secretKeyRef"]
        content = secrets[reference["name"]]
        if reference["key"] in content or not reference.get("optional"):
            found[one["name"]] = content[reference["key"]]
    return found


def read(kind: type[BaseSettings], environment: Mapping[str, str]) -> BaseSettings:
    """What a process with *environment* alone reads; ValidationError where something is unfit."""
    with patch.dict(os.environ, environment, clear=True):
        return kind()


def ours(workload: Object) -> Iterator[tuple[Object, type[BaseSettings]]]:
    """Its containers of our image, with what they read."""
    for container in containers_of(workload):
        if kind := settings_of(container):
            yield container, kind

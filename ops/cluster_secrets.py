"""The Secrets of a cluster that has its stores inside: k8s/overlays/dev refers to them by name."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from services.common.grants import SERVICES, role_of
from stack import databases
from stack.credentials import OPERATOR, Passwords
from stack.edge.contract import CLUSTERS
from stack.home import SECRETS_OF_PART, STORES_SECRET, fresh_secrets
from stack.parts import USERS_OF_REDIS

_POSTGRES, _VALKEY = "postgres:5432", "valkey:6379"
_EDGE_SECRET = "KUJI_EDGE_SECRET"  # noqa: S105


def secret_list(namespace: str) -> dict[str, Any]:
    """What kubectl takes: every Secret of *namespace*, with fresh values."""
    values = {**fresh_secrets(), _EDGE_SECRET: secrets.token_hex(32)}
    found = _contents(values, Passwords(values[STORES_SECRET]))
    items = [_secret(namespace, name, content) for name, content in found]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _secret(namespace: str, name: str, content: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"kuji-{name}",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "kuji"},
        },
        "type": "Opaque",
        "stringData": dict(content),
    }


def _contents(
    values: Mapping[str, str], passwords: Passwords
) -> Iterator[tuple[str, dict[str, str]]]:
    for service in SERVICES:
        own = SECRETS_OF_PART.get(service, ())
        content = {name: values[name] for name in own if name in values}
        if service in CLUSTERS:
            content[_EDGE_SECRET] = values[_EDGE_SECRET]
        content["KUJI_POSTGRES_DSN"] = _dsn(role_of(service), passwords)
        if service in USERS_OF_REDIS:
            content["KUJI_REDIS_URL"] = _redis_url(service, passwords)
        yield service, content
    yield "envoy", {_EDGE_SECRET: values[_EDGE_SECRET]}
    yield (
        OPERATOR,
        {
            "KUJI_POSTGRES_DSN": _dsn(databases.OWNER, passwords),
            "KUJI_REDIS_URL": _redis_url(OPERATOR, passwords),
            "KUJI_ADMIN_PASSWORD": values["KUJI_ADMIN_PASSWORD"],
        },
    )
    yield "postgres", {"POSTGRES_PASSWORD": secrets.token_hex(32), **_role_passwords(passwords)}
    yield (
        "valkey",
        {
            "OPERATOR_PASSWORD": passwords.of("valkey", OPERATOR),
            "users.acl": passwords.valkey_users((OPERATOR, *USERS_OF_REDIS)),
        },
    )


def _role_passwords(passwords: Passwords) -> dict[str, str]:
    roles = (databases.OWNER, *map(role_of, SERVICES))
    return {f"{role.upper()}_PASSWORD": passwords.of("postgres", role) for role in roles}


def _dsn(role: str, passwords: Passwords) -> str:
    password = passwords.of("postgres", role)
    return f"postgresql://{role}:{password}@{_POSTGRES}/{databases.DATABASE}"


def _redis_url(user: str, passwords: Passwords) -> str:
    return f"redis://{user}:{passwords.of('valkey', user)}@{_VALKEY}/0"

"""All checks, in the order in which they are told."""

from collections.abc import Sequence

from ops.doctor import (
    books,
    certificates,
    clocks,
    files,
    keys,
    parts,
    postgres_checks,
    recording,
    redis_checks,
)
from ops.doctor.examination import Check

_REDIS = frozenset({"redis"})
_POSTGRES = frozenset({"postgres"})

CHECKS: Sequence[Check] = (
    Check("Parts", "stack", parts.stack),
    Check("Parts", "services", parts.health),
    Check("Parts", "edge", parts.edge),
    Check("Parts", "envoy", parts.envoy),
    Check("Parts", "processes", parts.processes),
    Check("Redis", "version", redis_checks.version, _REDIS),
    Check("Redis", "durability", redis_checks.durability, _REDIS),
    Check("Redis", "eviction", redis_checks.eviction, _REDIS),
    Check("Redis", "memory", redis_checks.memory, _REDIS),
    Check("Redis", "disk", redis_checks.writes, _REDIS),
    Check("Redis", "replicas", redis_checks.replication, _REDIS),
    Check("Redis", "scripts", redis_checks.scripts, _REDIS),
    Check("Redis", "cluster", redis_checks.cluster, _REDIS),
    Check("Redis", "rights", redis_checks.rights, _REDIS),
    Check("Redis", "clock", clocks.redis, _REDIS),
    Check("Redis", "log", files.store_log),
    Check("Postgres", "version", postgres_checks.version, _POSTGRES),
    Check("Postgres", "server", postgres_checks.role_of_server, _POSTGRES),
    Check("Postgres", "durability", postgres_checks.durability, _POSTGRES),
    Check("Postgres", "connections", postgres_checks.connections, _POSTGRES),
    Check("Postgres", "schema", postgres_checks.schema, _POSTGRES),
    Check("Postgres", "roles", postgres_checks.roles, _POSTGRES),
    Check("Postgres", "clock", clocks.postgres, _POSTGRES),
    Check("Draws", "halted", recording.halted, _POSTGRES),
    Check("Draws", "backlog", recording.backlog, _REDIS | _POSTGRES),
    Check("Draws", "held back", recording.held, _REDIS | _POSTGRES),
    Check("Draws", "seeds", recording.reveals, _POSTGRES),
    Check("Draws", "books", books.balance, _REDIS | _POSTGRES),
    Check("Keys", "secrets", keys.secrets),
    Check("Keys", "signing", keys.signing, _POSTGRES),
    Check("Keys", "published", keys.published, _POSTGRES),
    Check("Keys", "seed key", keys.seeds, _POSTGRES),
    Check("Keys", "files", certificates.files),
    Check("Keys", "edge", certificates.shown),
    Check("Machine", "secrets", files.modes),
    Check("Machine", "disk", files.disk),
)

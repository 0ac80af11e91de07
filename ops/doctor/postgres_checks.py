"""Postgres: its version and settings, Kuji's schema in it, and who may do what."""

import hashlib
from collections.abc import Sequence
from typing import Any

import asyncpg

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, unknown, warning, well, wrong
from services.common.grants import SERVICES, grant, role_of
from services.common.migrate import FOLDER
from services.common.postgres import load_queries

_queries: Any = load_queries(__file__)
_OLDEST = 14  # multiranges, see services/pool/books/queries.sql
# The most that a process of each kind opens: its pool, and what it keeps or looks by beside it.
_TAKEN = {"auth": 10, "draw": 10, "admin": 10, "history": 11, "recorder": 7}
_MIGRATE = "kuji migrate"
_ROLES = runbook("stores-of-your-own")


def _postgres(patient: Patient) -> asyncpg.Pool:
    assert patient.postgres is not None, "the checks here need it"
    return patient.postgres


async def version(patient: Patient) -> list[Symptom]:
    """At least Postgres 14."""
    server = await _queries.server(_postgres(patient))
    return [judge_release(server["release"], server["number"] // 10_000)]


def judge_release(release: str, major: int) -> Symptom:
    """The same, of what the server says of itself."""
    if major >= _OLDEST:
        return well(f"Postgres {release}")
    return wrong(
        f"this is Postgres {release}; Kuji needs {_OLDEST} or newer",
        "migrations and statements use what older ones do not have",
        "upgrade it (pg_upgrade), or dump it and restore into a newer one",
    )


async def role_of_server(patient: Patient) -> list[Symptom]:
    """It takes writes, and has a database of ours."""
    server = await _queries.server(_postgres(patient))
    if server["is_standby"] or server["is_read_only"]:
        what = "is a standby" if server["is_standby"] else "takes no writes"
        return [
            wrong(
                f"this Postgres {what}",
                "nothing is recorded, nobody logs in, nothing can be changed",
                f"let KUJI_POSTGRES_DSN name the primary; {runbook('postgres-down')}",
            )
        ]
    if server["encoding"] != "UTF8":
        return [
            wrong(
                f"the database's encoding is {server['encoding']}",
                "names in other scripts cannot be stored",
                "make a database with ENCODING 'UTF8', and move the data there",
            )
        ]
    zone = server["time_zone"]
    return [well(f"a primary, UTF-8; its time zone is {zone}, of which nothing depends")]


async def durability(patient: Patient) -> list[Symptom]:
    """A commit is on the disk when it is answered."""
    pool = _postgres(patient)
    settings = {row["name"]: row["setting"] async for row in _queries.durability(pool)}
    risks = {
        "fsync": "a power loss can destroy the whole database",
        "full_page_writes": "a power loss can leave torn pages in the database",
        "synchronous_commit": "a crash takes back wins that were announced as recorded",
    }
    found = [
        wrong(
            f"{name} is off",
            why,
            f"ALTER SYSTEM SET {name} = on; then SELECT pg_reload_conf()",
        )
        for name, why in risks.items()
        if settings[name] == "off"
    ]
    roles = [row["role"] async for row in _queries.undurable_roles(pool)]
    if roles:
        why = risks["synchronous_commit"]
        step = "ALTER ROLE … RESET synchronous_commit"
        found.append(wrong(f"synchronous_commit is off for {', '.join(roles)}", why, step))
    return found or [well("a commit is on the disk before it is answered")]


async def connections(patient: Patient) -> list[Symptom]:
    """There is room for the connections of all processes."""
    row = await _queries.connections(_postgres(patient))
    available, used = row["available"], row["used"]
    wanted = _wanted(patient)
    sentence = f"{used} of {available} connections are open; the services may take {wanted}"
    step = "raise max_connections of Postgres, or run fewer processes"
    if used >= available * 0.9:
        return [wrong(sentence, "who comes next is refused, which is an outage to it", step)]
    if wanted > available:
        return [warning(sentence, "under load some of them are refused", step)]
    return [well(sentence)]


def _wanted(patient: Patient) -> int:
    processes = dict.fromkeys(_TAKEN, 1)
    for name in patient.endpoints.get("metrics", {}):
        service, _, number = name.partition("-")
        if number.isdigit() and service in processes:
            processes[service] = max(processes[service], int(number))
    return sum(_TAKEN[service] * number for service, number in processes.items())


async def schema(patient: Patient) -> list[Symptom]:
    """The schema is this version's."""
    pool = _postgres(patient)
    if not await _queries.has_migrations(pool):
        return [wrong("the database is empty", "no service can start", f"{_MIGRATE}")]
    applied = {row["name"]: row["sha256"] async for row in _queries.migrations(pool)}
    known = {
        file.name: hashlib.sha256(file.read_text("utf-8").encode()).hexdigest()
        for file in FOLDER.glob("*.sql")
    }
    return judge_schema(known, applied)


def judge_schema(known: dict[str, str], applied: dict[str, str]) -> list[Symptom]:
    """The same, of name → SHA-256 as this version has them, and as the database does."""
    missing, newer = sorted(known.keys() - applied.keys()), sorted(applied.keys() - known.keys())
    changed = sorted(name for name in known.keys() & applied.keys() if known[name] != applied[name])
    if changed:
        return [
            wrong(
                f"{', '.join(changed)} is not what the database has applied",
                "nobody knows what the schema is",
                "run a version that was released; an applied file never changes",
            )
        ]
    if missing:
        return [
            wrong(
                f"the schema is older than this version: {_some(missing)} is not applied",
                "services of this version fail where they need it",
                _MIGRATE,
            )
        ]
    if newer:
        return [
            warning(
                f"the schema is newer than this version: it has {_some(newer)}",
                "that works for one version; the other processes may be newer, too",
                "finish the upgrade: docs/operations.md#upgrade",
            )
        ]
    return [well(f"the schema is this version's ({max(known).removesuffix('.sql')})")]


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


async def roles(patient: Patient) -> list[Symptom]:
    """Each service has a role with the rights of grants.sql, and no more."""
    pool = _postgres(patient)
    server = await _queries.server(pool)
    names = [role_of(service) for service in SERVICES]
    known = {
        row["name"]: row["is_superuser"] async for row in _queries.known_roles(pool, names=names)
    }
    if not known:
        return [_one_for_all(server["is_superuser"])]
    if missing := [name for name in names if name not in known]:
        why = "without all five roles, rights are given to none of them"
        return [wrong(f"there is no role {', '.join(missing)}", why, _ROLES)]
    if mighty := [name for name, is_superuser in known.items() if is_superuser]:
        why = "who finds a hole in that service has the whole server"
        step = f"ALTER ROLE {mighty[0]} NOSUPERUSER"
        return [wrong(f"{', '.join(mighty)} is a superuser", why, step)]
    if not server["is_owner"]:
        return [unknown("only the database's owner can compare rights with grants.sql")]
    return [await _rights(pool, names)]


def _one_for_all(is_superuser: bool) -> Symptom:
    if is_superuser:
        return warning(
            "one superuser is all services' role",
            "who finds a hole in one of them has the whole server",
            f"give each service a role of its own: {_ROLES}",
        )
    return well("all services come in with one role, which is no superuser")


async def _rights(pool: asyncpg.Pool, names: list[str]) -> Symptom:
    """Compares what is granted with what would be; nothing of it is kept."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await _queries.set_lock_timeout(connection)
            before = {tuple(row) async for row in _queries.rights(connection, names=names)}
            await grant(connection)
            after = {tuple(row) async for row in _queries.rights(connection, names=names)}
        finally:
            await transaction.rollback()
    if missing := sorted(after - before):
        sentence = f"{_right(missing[0])} is missing{_and_more(missing)}"
        return wrong(sentence, "what needs it fails with INTERNAL", f"{_MIGRATE} gives them again")
    if surplus := sorted(before - after):
        sentence = f"{_right(surplus[0])} is given beside grants.sql{_and_more(surplus)}"
        why = "a service may do what it does not need"
        return warning(sentence, why, f"{_MIGRATE} takes them away")
    return well("each service's role has the rights of grants.sql, and no other")


def _right(right: Sequence[str]) -> str:
    role, kind, name, privilege = right
    return f"{role}: {privilege} on {kind} {name}"


def _and_more(rights: Sequence[object]) -> str:
    return f", and {len(rights) - 1} more" if len(rights) > 1 else ""

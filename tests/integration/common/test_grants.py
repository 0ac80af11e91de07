"""What the role of each service may do in the database: what it needs, and nothing else."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiosql
import asyncpg
import pytest

from services.common.grants import ROLE_SQL, SERVICES, role_of
from services.common.grants import SQL as GRANTS
from services.common.migrate import FOLDER
from stack.processes import ROOT

# Whose statements are in a folder. All but the recorder look for tokens that were ended.
FOLDERS = {
    "services/common": ("auth", "draw", "admin", "history"),
    "services/pool": ("draw",),
    **{f"services/{service}": (service,) for service in SERVICES},
}
# Statements that others run besides those whose folder it is.
BESIDES = {"is_answered": ("history",)}
# Statements of operators' commands, which come in as the owner.
OPERATORS = {
    f"auth: services/auth: {name}"
    for name in (
        "add_audit",
        "get_bulk_accounts",
        "begin_bulk_accounts",
        "lock_bulk_accounts",
        "note_bulk_accounts",
        "add_missing_bulk_accounts",
        "list_for_tokens",
        "import_accounts",
        "list_taken_names",
    )
}
# Nobody's but the owner's.
OWN_TABLES = {"bulk_accounts", "schema_migrations"}
# Needed by what is no statement of a file: COPY, and the trigger note_reveal.
UNSEEN = {
    ("recorder", "INSERT", "lottery_records", None),
    ("recorder", "INSERT", "order_items", None),
    ("draw", "UPDATE", "pools", "is_revealed"),
}
GRANTED = """
SELECT substr(grantee::regrole::text, 6) AS service, privilege_type AS privilege, relation, name
FROM (
    SELECT relname AS relation, NULL AS name, (aclexplode(relacl)).*
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
    UNION ALL
    SELECT relname, attname, (aclexplode(attacl)).*
    FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace
) AS granted
WHERE grantee::regrole::text LIKE 'kuji\\_%'
"""


class Granted(NamedTuple):
    """One privilege of a service on a table, or on one column of it."""

    service: str
    privilege: str
    relation: str
    column: str | None

    @property
    def revoke(self) -> str:
        """The statement that takes it away."""
        columns = f" ({self.column})" if self.column else ""
        return f"REVOKE {self.privilege}{columns} ON {self.relation} FROM {role_of(self.service)}"


def _statements() -> Iterator[tuple[str, str, str]]:
    for file in sorted((ROOT / "services").rglob("*.sql")):
        if file in (GRANTS, ROLE_SQL) or file.parent == FOLDER:
            continue
        folder = str(file.parent.relative_to(ROOT))
        runners = next((who for place, who in FOLDERS.items() if folder.startswith(place)), ())
        assert runners, f"whose statements are in {file}?"
        queries: Any = aiosql.from_path(file, "asyncpg", encoding="utf-8")
        for name in queries.available_queries:
            if not name.endswith("_cursor"):
                sql = getattr(queries, name).sql
                for service in (*runners, *BESIDES.get(name, ())):
                    yield service, f"{service}: {folder}: {name}", sql


STATEMENTS = [statement for statement in _statements() if statement[1] not in OPERATORS]


async def _permits(connection: asyncpg.Connection, service: str, sql: str) -> bool:
    """Whether *service* may run *sql*, which is planned and checked, not run."""
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role_of(service)}")
            await connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def test_each_service_may_run_each_of_its_statements(postgres: asyncpg.Pool) -> None:
    """A statement on a table that grants.sql does not give to its service is found here."""
    async with postgres.acquire() as connection:
        refused = [
            name
            for service, name, sql in STATEMENTS
            if not await _permits(connection, service, sql)
        ]
    assert [] == refused
    assert set(SERVICES) == {service for service, _, _ in STATEMENTS}


async def test_sequences_are_open_to_those_who_take_numbers(postgres: asyncpg.Pool) -> None:
    """The right to take one is judged when it is taken."""
    taking = [
        (service, sequence)
        for service, _, sql in STATEMENTS
        for sequence in re.findall(r"nextval\('(\w+)'\)", sql)
    ]
    assert {"draw", "admin", "recorder"} == {service for service, _ in taking}
    for service, sequence in taking:
        async with postgres.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {role_of(service)}")
            assert await connection.fetchval("SELECT nextval($1::text::regclass)", sequence)


async def test_nothing_is_granted_that_no_statement_needs(postgres: asyncpg.Pool) -> None:
    """Each privilege, taken away, is missed by somebody."""
    unneeded = []
    async with postgres.acquire() as connection:
        granted = {Granted(*row) for row in await connection.fetch(GRANTED)}
        for one in sorted(granted - UNSEEN, key=str):
            trial = connection.transaction()
            await trial.start()
            await connection.execute(one.revoke)
            sqls = [sql for of, _, sql in STATEMENTS if of == one.service and one.relation in sql]
            if all([await _permits(connection, one.service, sql) for sql in sqls]):
                unneeded.append(one)
            await trial.rollback()
    assert [] == unneeded
    assert granted >= UNSEEN


async def test_every_table_is_somebodys(postgres: asyncpg.Pool) -> None:
    """A table that grants.sql forgets is found here."""
    named = {row["relation"] for row in await postgres.fetch(GRANTED)}
    tables = {
        row["relname"]
        for row in await postgres.fetch(
            "SELECT relname FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
        )
    }
    behind_views = {"accounts"}
    assert tables - behind_views - OWN_TABLES == named


FORBIDDEN = [
    ("history", "SELECT password_hash FROM users"),
    ("history", "SELECT encrypted_seed FROM pool_seeds"),
    ("admin", "SELECT password_hash FROM users"),
    ("admin", "UPDATE prizes SET won_count = 0"),
    ("admin", "DELETE FROM audit_log"),
    ("admin", "SELECT encrypted_seed FROM pool_seeds"),
    ("draw", "UPDATE prizes SET total_count = 5"),
    ("draw", "SELECT private_key FROM signing_keys"),
    ("draw", "SELECT private_key FROM login_keys"),
    ("recorder", "SELECT private_key FROM signing_keys"),
    ("recorder", "DELETE FROM lottery_records"),
    ("auth", "SELECT prize_code FROM winners"),
    *[(service, "CREATE TABLE theirs (id int)") for service in SERVICES],
    *[(service, "COPY (SELECT 1) TO PROGRAM 'true'") for service in SERVICES],
    *[(service, "SELECT pg_read_file('/etc/passwd')") for service in SERVICES],
]


@pytest.mark.parametrize(("service", "sql"), FORBIDDEN)
async def test_service_is_refused_what_is_not_its_own(
    postgres: asyncpg.Pool, service: str, sql: str
) -> None:
    """What one service is talked into, the others' secrets and the books do not suffer from."""
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {role_of(service)}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(sql)


async def test_draw_service_reveals_a_seed(postgres: asyncpg.Pool) -> None:
    """The triggers of a reveal run with the rights of whoever reveals."""
    async with postgres.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO pools (id, mode, seed_commitment) "
            "VALUES (1, 'odds', sha256(decode(repeat('00', 32), 'hex')))"
        )
        await connection.execute("SET LOCAL ROLE kuji_draw")
        await connection.execute(
            "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) "
            "VALUES (1, sha256(decode(repeat('00', 32), 'hex')), 'x')"
        )
        await connection.execute(
            "INSERT INTO pool_reveals (pool_id, seed) VALUES (1, decode(repeat('00', 32), 'hex'))"
        )
        assert await connection.fetchval("SELECT is_revealed FROM pools WHERE id = 1")

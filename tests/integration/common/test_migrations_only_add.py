"""Migrations only add: the version before works on the schema of this one."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from services.common.migrate import FOLDER, migrate

# Before it, versions did not run side by side.
FIRST = "0019"
COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod) AS kind,
       attnotnull AND NOT atthasdef AND attidentity = '' AS is_required
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
  AND attnum > 0 AND NOT attisdropped
"""
# What refuses a row, or changes one, by the columns that it looks at; with none, it may be any.
RULES = """
SELECT relname, conname AS name, ARRAY(
    SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)
) AS columns
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
WHERE pg_class.relnamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT owner.relname, own.relname, ARRAY(
    SELECT attname FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY(indkey)
)
FROM pg_index
JOIN pg_class AS own ON own.oid = indexrelid
JOIN pg_class AS owner ON owner.oid = indrelid
WHERE own.relnamespace = 'public'::regnamespace AND indisunique
UNION ALL
SELECT relname, tgname, ARRAY[]::name[]
FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal
"""
FUNCTIONS = """
SELECT proname || '(' || pg_get_function_arguments(oid) || ') ' || pg_get_function_result(oid)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


class Schema(NamedTuple):
    """What a version relies on."""

    columns: dict[tuple[str, str], tuple[str, bool]]
    rules: dict[tuple[str, str], frozenset[str]]
    functions: frozenset[str]

    @property
    def tables(self) -> set[str]:
        """Their names."""
        return {table for table, _ in self.columns}


async def schema_of(connection: asyncpg.Connection) -> Schema:
    """The schema as it is."""
    columns = await connection.fetch(COLUMNS)
    rules = await connection.fetch(RULES)
    return Schema(
        {(row["relname"], row["attname"]): (row["kind"], row["is_required"]) for row in columns},
        {(row["relname"], row["name"]): frozenset(row["columns"]) for row in rules},
        frozenset(row[0] for row in await connection.fetch(FUNCTIONS)),
    )


def breaks(before: Schema, after: Schema) -> Iterator[str]:
    """What the version before cannot do any more."""
    for (table, column), (kind, is_required) in before.columns.items():
        now = after.columns.get((table, column))
        if now is None or now[0] != kind:
            yield f"{table}.{column} was {kind}, and is {now[0] if now else 'gone'}"
        elif now[1] and not is_required:
            yield f"{table}.{column} has to be given"
    for (table, column), (_, is_required) in after.columns.items():
        if table in before.tables and (table, column) not in before.columns and is_required:
            yield f"{table}.{column} is new, and has to be given"
    for (table, name), columns in after.rules.items():
        known = {column for column in columns if (table, column) in before.columns}
        if table in before.tables and (table, name) not in before.rules and (known or not columns):
            yield f"{name} is new, and refuses or changes rows of {table}"
    for function in before.functions - after.functions:
        yield f"{function} is gone"


@pytest.fixture
async def connection(postgres_server: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to an empty database."""
    name = f"adding_{uuid.uuid4().hex}"
    server = await asyncpg.connect(f"{postgres_server}/postgres")
    await server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    connection = await asyncpg.connect(f"{postgres_server}/{name}")
    yield connection
    await connection.close()
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


async def test_no_migration_takes_from_the_version_before(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    """File by file, from the first that runs beside an older version."""
    found = {}
    for file in sorted(FOLDER.glob("*.sql")):
        before = await schema_of(connection)
        (tmp_path / file.name).write_text(file.read_text())
        await migrate(connection, tmp_path)
        if file.name >= FIRST and (broken := list(breaks(before, await schema_of(connection)))):
            found[file.name] = broken
    assert {} == found


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("ALTER TABLE things ADD COLUMN note text", []),
        ("ALTER TABLE things ADD COLUMN note text NOT NULL DEFAULT '' CHECK (note <> 'x')", []),
        ("CREATE TABLE others (id integer PRIMARY KEY REFERENCES things)", []),
        ("CREATE INDEX ON things (name)", []),
        (
            "ALTER TABLE things ADD COLUMN note text NOT NULL",
            ["things.note is new, and has to be given"],
        ),
        ("ALTER TABLE things DROP COLUMN name", ["things.name was text, and is gone"]),
        ("ALTER TABLE things RENAME TO stuff", 2),
        ("ALTER TABLE things ALTER name TYPE bytea USING ''", 1),
        ("ALTER TABLE things ALTER name SET NOT NULL", ["things.name has to be given"]),
        ("ALTER TABLE things ADD CHECK (name <> 'x')", 1),
        ("CREATE UNIQUE INDEX ON things (name)", 1),
        ("CREATE FUNCTION twice(integer, integer) RETURNS integer RETURN 2", []),
        ("DROP FUNCTION twice", ["twice(integer) integer is gone"]),
    ],
)
async def test_what_an_older_version_would_trip_over_is_found(
    statement: str, broken: list[str] | int, connection: asyncpg.Connection
) -> None:
    """Taking away, narrowing, and asking for more; not: adding."""
    await connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text)")
    await connection.execute("CREATE FUNCTION twice(integer) RETURNS integer RETURN 2")
    before = await schema_of(connection)
    await connection.execute(statement)
    found = list(breaks(before, await schema_of(connection)))
    assert broken == (found if isinstance(broken, list) else len(found))

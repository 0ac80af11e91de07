"""kuji admins and kuji users: roles given and taken, accounts deactivated, all of it audited."""

import asyncio
import json
from uuid import uuid4

import asyncpg
import pytest

from services.auth.login_store import RefreshTokenStore
from services.auth.user_store import UserStore
from tests.support.command import Ran, run_kuji

_DEACTIVATE = ("users", "deactivate", "alice")
_ACTIVATE = ("users", "activate", "alice")


@pytest.fixture(autouse=True)
async def _alice_and_the_administrator(postgres: asyncpg.Pool) -> None:
    users = UserStore(postgres)
    await users.set_admin("admin", "no hash")
    await users.add("Alice", "no hash", "")


async def kuji(dsn: str, *arguments: str) -> Ran:
    """The command on this database."""
    return await run_kuji(*arguments, KUJI_POSTGRES_DSN=dsn)


async def audit(postgres: asyncpg.Pool) -> list[tuple[str, str, object]]:
    """Who, what, and from what to what."""
    rows = await postgres.fetch("SELECT username, action, detail FROM audit_log ORDER BY id")
    return [(row["username"], row["action"], json.loads(row["detail"])) for row in rows]


async def administrators(dsn: str) -> list[str]:
    """Names, as listed."""
    ran = await kuji(dsn, "admins", "list")
    assert ran.code == 0
    return [line.split()[1] for line in ran.out.splitlines()]


async def test_role_is_given_and_taken(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """By name in any case; each change is one line in the audit log, a repetition none."""
    for _ in range(2):
        assert (await kuji(postgres_dsn, "admins", "grant", "ALICE")).code == 0
    assert ["admin", "Alice"] == await administrators(postgres_dsn)
    for _ in range(2):
        assert (await kuji(postgres_dsn, "admins", "revoke", "alice")).code == 0
    assert ["admin"] == await administrators(postgres_dsn)
    given, taken = await audit(postgres)
    assert given[0].endswith("(kuji command)")
    assert [line[1:] for line in (given, taken)] == [
        ("user.role", {"username": "Alice", "role": {"from": "user", "to": "admin"}}),
        ("user.role", {"username": "Alice", "role": {"from": "admin", "to": "user"}}),
    ]


async def test_lesser_roles_are_given_alike(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """One takes the place of another, and whoever was the last administrator cannot step down."""
    for role in ("viewer", "operator"):
        ran = await kuji(postgres_dsn, "admins", "grant", "alice", "--role", role)
        assert (0, f"✓ alice has the role {role} from the next login on\n") == ran[:2]
    assert "operator" in (await kuji(postgres_dsn, "admins", "list")).out
    stepping_down = await kuji(postgres_dsn, "admins", "grant", "admin", "--role", "operator")
    assert stepping_down.code == 2
    for role in ("user", "boss", "service"):
        assert (await kuji(postgres_dsn, "admins", "grant", "alice", "--role", role)).code == 2
    await kuji(postgres_dsn, "admins", "revoke", "alice")
    assert [
        {"from": "user", "to": "viewer"},
        {"from": "viewer", "to": "operator"},
        {"from": "operator", "to": "user"},
    ] == [detail["role"] for _, _, detail in await audit(postgres) if isinstance(detail, dict)]


async def test_role_ends_what_was_opened_before(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """A session neither inherits a role nor keeps one that was taken."""
    users, tokens = UserStore(postgres), RefreshTokenStore(postgres, 900)
    for command in ("grant", "revoke"):
        alice = await users.find("alice")
        assert alice is not None
        await tokens.open(command.encode(), uuid4(), alice, 60.0, "")
        await kuji(postgres_dsn, "admins", command, "alice")
        assert await tokens.rotate(command.encode(), b"next", bytes(32), 60.0) is None
        below = await postgres.fetchval("SELECT below FROM ended_generations WHERE below > 0")
        assert below == alice.generation + 1


async def test_last_administrator_stays(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """Whoever is the only one who can log in, also where two are taken at once."""
    ran = await kuji(postgres_dsn, "admins", "revoke", "admin")
    assert (ran.code, ran.out) == (2, "")
    assert "the only administrator" in ran.err
    assert (await kuji(postgres_dsn, "users", "deactivate", "admin")).code == 2
    await kuji(postgres_dsn, "admins", "grant", "alice")
    both = (kuji(postgres_dsn, "admins", "revoke", name) for name in ("admin", "alice"))
    assert sorted(ran.code or 0 for ran in await asyncio.gather(*both)) == [0, 2]
    assert len(await administrators(postgres_dsn)) == 1
    assert len(await audit(postgres)) == 2


async def test_account_is_deactivated_and_activated(
    postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Said, done, audited; again: said to be so already."""
    assert (0, "✓ alice is deactivated\n") == (await kuji(postgres_dsn, *_DEACTIVATE))[:2]
    assert (0, "✓ alice is deactivated already\n") == (await kuji(postgres_dsn, *_DEACTIVATE))[:2]
    assert (0, "✓ alice is active\n") == (await kuji(postgres_dsn, *_ACTIVATE))[:2]
    assert [(action, detail) for _, action, detail in await audit(postgres)] == [
        ("user.active", {"username": "Alice", "is_active": {"from": True, "to": False}}),
        ("user.active", {"username": "Alice", "is_active": {"from": False, "to": True}}),
    ]


@pytest.mark.parametrize(
    "command", [("admins", "grant"), ("admins", "revoke"), ("users", "deactivate")], ids=" ".join
)
async def test_nobody_of_that_name_is_one_sentence(
    command: tuple[str, str], postgres_dsn: str
) -> None:
    """Exit code 2, and nothing on stdout."""
    ran = await kuji(postgres_dsn, *command, "nobody")
    assert (2, "", "kuji: There is no user nobody\n") == ran

"""kuji doctor and the stores: each condition is caused on a real one, found, and gone again."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from ops.doctor.clocks import judge
from ops.doctor.postgres_checks import judge_release as judge_postgres
from ops.doctor.redis_checks import judge_release as judge_redis
from ops.doctor.symptoms import Grade
from services.common.migrate import FOLDER
from stack import servers
from stack.ports import free_port
from stack.processes import Child, Program, stop
from tests.support.books import open_pool
from tests.support.doctor import Doctor

_WRONG, _WARNING = Grade.WRONG, Grade.WARNING


@pytest.fixture
def doctor(tmp_path: Path, redis_url: str, redis: Redis, postgres_dsn: str) -> Doctor:
    """Of the stores of this test."""
    del redis  # emptied
    return Doctor(tmp_path, redis_url, postgres_dsn)


@pytest.mark.parametrize(
    ("name", "setting", "value", "grade", "words"),
    [
        ("durability", "appendonly", "no", _WRONG, "appendonly is off"),
        ("durability", "appendfsync", "everysec", _WRONG, "appendfsync is everysec, not always"),
        ("durability", "no-appendfsync-on-rewrite", "yes", _WRONG, "on-rewrite is on"),
        ("eviction", "maxmemory-policy", "allkeys-lru", _WRONG, "maxmemory-policy is allkeys-lru"),
        ("memory", "maxmemory", "0", _WARNING, "no bound of memory"),
        ("memory", "maxmemory", "1mb", _WRONG, "that draws may fill are used"),
        ("replicas", "min-replicas-to-write", "1", _WRONG, "min-replicas-to-write wants 1"),
        ("scripts", "busy-reply-threshold", "100", _WARNING, "after 100 ms of a script"),
    ],
)
async def test_doctor_finds_a_setting_of_redis_that_breaks_a_promise(
    doctor: Doctor, redis: Redis, name: str, setting: str, value: str, grade: Grade, words: str
) -> None:
    """And is silent about it once it is right."""
    if name == "memory":  # others may have left it without
        await redis.config_set("maxmemory", "4gb")
    before = str((await redis.config_get(setting))[setting])
    await doctor.is_content("Redis", name)
    await redis.config_set(setting, value)
    try:
        await doctor.finds("Redis", name, grade, words)
    finally:
        await redis.config_set(setting, before)
    await doctor.is_content("Redis", name)


async def test_doctor_finds_memory_that_is_nearly_full(doctor: Doctor, redis: Redis) -> None:
    """Before draws are shed."""
    before = str((await redis.config_get("maxmemory"))["maxmemory"])
    used = int((await redis.info("memory"))["used_memory"])
    await redis.config_set("maxmemory", int(used / 0.9 / 0.85))
    try:
        await doctor.finds("Redis", "memory", _WARNING, "% of the")
    finally:
        await redis.config_set("maxmemory", before)


async def test_doctor_finds_a_redis_that_is_a_replica(doctor: Doctor, redis: Redis) -> None:
    """It takes no writes."""
    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
    try:
        await doctor.finds("Redis", "replicas", _WRONG, "is a replica")
    finally:
        await redis.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]


async def test_doctor_finds_replicas_missing_that_an_activity_waits_for(
    doctor: Doctor, redis: Redis, postgres: asyncpg.Pool
) -> None:
    """It names the activity."""
    pool = await open_pool(postgres, redis, 5)
    await postgres.execute("UPDATE activities SET confirm = 'replica'")
    activity = f"activity {pool.activity_id}"
    await doctor.finds("Redis", "replicas", _WRONG, f'{activity}: confirm is "replica"')


async def test_doctor_finds_rights_of_redis_that_are_missing_or_too_many(
    doctor: Doctor, redis: Redis
) -> None:
    """A stranger may do everything; a service may not do what it needs."""
    await doctor.finds("Redis", "rights", _WARNING, "everybody who reaches Redis")
    await redis.execute_command("ACL", "SETUSER", "draw", "on", "+@all", "-evalsha", "~*", "&*")  # type: ignore[no-untyped-call]
    try:
        await doctor.finds("Redis", "rights", _WRONG, "draw: User draw has no permissions")
        await doctor.finds("Redis", "rights", _WRONG, "recorder: XREAD")
    finally:
        await redis.acl_deluser("draw")


@pytest.fixture
async def clustered() -> AsyncIterator[tuple[str, Path]]:
    """A Valkey of a cluster, without slots: its URL, and its data folder."""
    folder, port = Path(tempfile.mkdtemp()), free_port()
    plain = servers.valkey(folder / "data", port, folder / "log")
    command = [*plain.command, "--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    child = Child(Program("valkey", command, folder / "log"))
    url = f"redis://127.0.0.1:{port}/0"
    try:
        await child.wait_until_ready(partial(servers.valkey_answers, url))
        yield url, folder / "data"
    finally:
        stop([child], 10)
        shutil.rmtree(folder)


async def test_doctor_finds_a_cluster_without_slots_and_a_log_that_cannot_be_rewritten(
    tmp_path: Path, clustered: tuple[str, Path]
) -> None:
    """Both in one server, since each starts one."""
    url, folder = clustered
    doctor = Doctor(tmp_path, url, None)
    await doctor.finds("Redis", "cluster", _WRONG, "cluster's state is fail")
    await doctor.is_content("Redis", "disk")
    async with Redis.from_url(url) as redis:
        await redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)  # type: ignore[no-untyped-call]
        await _until(lambda: _has_slots(redis))
        await doctor.is_content("Redis", "cluster")
        shutil.rmtree(folder / "appendonlydir")
        (folder / "appendonlydir").write_text("no folder")
        with suppress(ResponseError):
            await redis.bgrewriteaof()
        await _until(lambda: _has_failed_to_rewrite(redis))
    await doctor.finds("Redis", "disk", _WRONG, "the last rewrite of its log failed")


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await is_so():  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(0.02)


async def _has_slots(redis: Redis) -> bool:
    said = await redis.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]
    return b"cluster_state:ok" in said


async def _has_failed_to_rewrite(redis: Redis) -> bool:
    return bool((await redis.info("persistence"))["aof_last_bgrewrite_status"] != "ok")


@pytest.mark.parametrize(
    ("said", "grade"),
    [
        ({"redis_version": "6.2.14"}, _WRONG),
        ({"redis_version": "7.0.0"}, Grade.OK),
        ({"redis_version": "7.2.4", "valkey_version": "7.2.5"}, Grade.OK),
        ({"redis_version": "7.2.4", "valkey_version": "10.1.0"}, Grade.OK),
        ({"redis_version": "7.1.4", "valkey_version": "7.1.0"}, _WRONG),
    ],
)
def test_doctor_finds_a_redis_that_is_too_old(said: dict[str, str], grade: Grade) -> None:
    """By numbers, not by letters."""
    assert grade is judge_redis(said).grade


def test_doctor_finds_a_postgres_that_is_too_old() -> None:
    """14 is the oldest."""
    assert (_WRONG, Grade.OK) == (judge_postgres("13.9", 13).grade, judge_postgres("14", 14).grade)


@pytest.mark.parametrize(
    ("shown", "grade", "words"),
    [
        (99.2, Grade.OK, ""),
        (101.9, Grade.OK, ""),
        (97.0, _WARNING, "3.0 s behind"),
        (103.0, _WARNING, "2.0 s ahead of"),
        (40.0, _WRONG, "60.0 s behind"),
        (172_901.0, _WRONG, "172,800.0 s ahead of"),
    ],
)
def test_doctor_finds_a_clock_that_is_off(shown: float, grade: Grade, words: str) -> None:
    """Asked at 100 s, answered at 101 s: what is in between is not known to be off."""
    symptom = judge("Redis", shown, 100.0, 101.0)
    assert (grade, True) == (symptom.grade, words in symptom.sentence)


@pytest.mark.parametrize(
    ("name", "cause", "cure", "grade", "words"),
    [
        (
            "server",
            "ALTER DATABASE {db} SET default_transaction_read_only = on",
            "ALTER DATABASE {db} RESET default_transaction_read_only",
            _WRONG,
            "takes no writes",
        ),
        (
            "schema",
            "DELETE FROM schema_migrations WHERE name = '{newest}'",
            "INSERT INTO schema_migrations VALUES ('{newest}', '{sha256}')",
            _WRONG,
            "older than this version: {newest}",
        ),
        (
            "schema",
            "INSERT INTO schema_migrations VALUES ('9999_later.sql', 'x')",
            "DELETE FROM schema_migrations WHERE name = '9999_later.sql'",
            _WARNING,
            "newer than this version: it has 9999_later.sql",
        ),
        (
            "schema",
            "UPDATE schema_migrations SET sha256 = 'x' WHERE name = '{newest}'",
            "UPDATE schema_migrations SET sha256 = '{sha256}' WHERE name = '{newest}'",
            _WRONG,
            "{newest} is not what the database has applied",
        ),
        (
            "roles",
            "REVOKE INSERT ON pool_seeds FROM kuji_draw",
            "GRANT INSERT ON pool_seeds TO kuji_draw",
            _WRONG,
            "kuji_draw: INSERT on table pool_seeds is missing",
        ),
        (
            "roles",
            "GRANT DELETE ON winners TO kuji_history",
            "REVOKE DELETE ON winners FROM kuji_history",
            _WARNING,
            "kuji_history: DELETE on table winners is given",
        ),
    ],
)
async def test_doctor_finds_what_is_wrong_with_the_database(
    doctor: Doctor,
    postgres: asyncpg.Pool,
    name: str,
    cause: str,
    cure: str,
    grade: Grade,
    words: str,
) -> None:
    """And is silent about it once it is right."""
    newest = max(file.name for file in FOLDER.glob("*.sql"))
    known = "SELECT current_database(), sha256 FROM schema_migrations WHERE name = $1"
    database, sha256 = await postgres.fetchrow(known, newest)
    facts = {"db": database, "newest": newest, "sha256": sha256}
    await postgres.execute(cause.format(**facts))
    await doctor.finds("Postgres", name, grade, words.format(**facts))
    async with postgres.acquire() as connection:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(cure.format(**facts))
    await doctor.is_content("Postgres", name)


async def test_doctor_finds_commits_that_are_not_on_the_disk(
    doctor: Doctor, postgres: asyncpg.Pool
) -> None:
    """The tests' own server is such a one; so is a role with a setting of its own."""
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        await doctor.finds("Postgres", "durability", _WRONG, f"{name} is off")
    database = await postgres.fetchval("SELECT current_database()")
    setting = f"ALTER ROLE kuji_recorder IN DATABASE {database} SET synchronous_commit = off"
    await postgres.execute(setting)
    await doctor.finds("Postgres", "durability", _WRONG, "off for kuji_recorder")


async def test_doctor_finds_more_processes_than_connections(doctor: Doctor, tmp_path: Path) -> None:
    """By what endpoints.json lists."""
    await doctor.is_content("Postgres", "connections")
    (tmp_path / "endpoints.json").write_text('{"metrics": {"draw": "", "draw-64": ""}}')
    await doctor.finds("Postgres", "connections", _WARNING, "the services may take 67")


async def test_doctor_finds_a_role_that_is_a_superuser(
    doctor: Doctor, postgres: asyncpg.Pool
) -> None:
    """It names it."""
    await postgres.execute("ALTER ROLE kuji_history SUPERUSER")
    try:
        await doctor.finds("Postgres", "roles", _WRONG, "kuji_history is a superuser")
    finally:
        await postgres.execute("ALTER ROLE kuji_history NOSUPERUSER")


@pytest.mark.parametrize("stores", [("Redis", "clock"), ("Postgres", "clock")])
async def test_doctor_is_content_with_clocks_of_this_machine(
    doctor: Doctor, stores: Sequence[str]
) -> None:
    """Real ones."""
    await doctor.is_content(*stores)

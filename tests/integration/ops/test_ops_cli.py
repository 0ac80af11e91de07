"""The kuji command, as an operator runs it: what it prints, and its exit codes."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from redis.asyncio import Redis

from services.auth.key_store import KeyStore
from services.auth.keys import KeyCipher, KeyRing
from services.pool.store.keys import key
from tests.support.books import Pool, open_pool
from tests.support.command import Ran, run_kuji
from tests.support.proxy import proxying

SECRET = "5e" * 32


class Kuji:
    """Runs `kuji` with an environment of its own."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.environment = {"KUJI_HOME": str(home), "COLUMNS": "100", **environment}

    async def __call__(self, *arguments: str) -> Ran:
        return await run_kuji(*arguments, **self.environment)


@pytest.fixture
def kuji(tmp_path: Path, postgres_dsn: str, redis_url: str) -> Kuji:
    """The command, told where the stores are."""
    return Kuji(tmp_path, KUJI_POSTGRES_DSN=postgres_dsn, KUJI_REDIS_URL=redis_url)


@pytest.fixture
async def pools(postgres: asyncpg.Pool, redis: Redis) -> list[Pool]:
    """Two pools, both with draws; the first one's are recorded."""
    pools = [await open_pool(postgres, redis, 5) for _ in range(2)]
    for pool in pools:
        await pool.configure(0.5)
        await pool.draw(10)
    await pools[0].record()
    return pools


async def _spoil(pool: Pool) -> None:
    await pool.redis.hincrby(key(pool.pool_id, "stock"), str(pool.prize_ids[0]), -1)


async def test_reconcile_exits_0_when_the_books_balance(kuji: Kuji, pools: list[Pool]) -> None:
    """Balanced books are said to be so, with the number of pools."""
    ran = await kuji("reconcile")
    assert (0, f"✓ the books balance ({len(pools)} pools)\n") == ran[:2]


async def test_reconcile_exits_1_and_names_pool_and_prize_when_stock_is_off(
    kuji: Kuji, pools: list[Pool]
) -> None:
    """The findings say which pool, which prize, by how much."""
    await _spoil(pools[1])
    ran = await kuji("reconcile")
    assert ran.code == 1
    assert "✗ 1 finding in 2 pools" in ran.out
    row = next(line for line in ran.out.splitlines() if "left in Redis" in line)
    cells = [cell.strip() for cell in row.strip("│┃ ").split("│")]
    assert [str(pools[1].pool_id), str(pools[1].prize_ids[0]), "-1"] == [*cells[:2], cells[-1]]


async def test_reconcile_tells_the_findings_as_json_when_asked(
    kuji: Kuji, pools: list[Pool]
) -> None:
    """A program can read the audit."""
    await _spoil(pools[1])
    ran = await kuji("reconcile", "--json", "--pool", str(pools[1].pool_id))
    answer = json.loads(ran.out)
    detail = answer["findings"][0].pop("detail")
    finding = {
        "kind": "stock",
        "pool_id": pools[1].pool_id,
        "prize_id": pools[1].prize_ids[0],
        "off_by": -1,
    }
    books = {"balanced": False, "pools": 1, "findings": [finding], "held": []}
    assert (1, books) == (ran.code, answer)
    assert "but there are 5 units" in detail


async def test_reconcile_audits_one_pool_when_asked(kuji: Kuji, pools: list[Pool]) -> None:
    """Another pool's trouble is not this one's."""
    await _spoil(pools[1])
    ran = await kuji("reconcile", "--pool", str(pools[0].pool_id))
    assert (0, "✓ the books balance (1 pool)\n") == ran[:2]


async def test_reconcile_exits_2_when_the_pool_does_not_exist(kuji: Kuji) -> None:
    """A mistyped number is no balanced pool."""
    ran = await kuji("reconcile", "--pool", "404")
    assert (2, "", "kuji: There is no pool 404\n") == ran


async def test_reconcile_exits_2_in_one_sentence_when_no_stack_runs(tmp_path: Path) -> None:
    """Without a stack and without addresses, it says what to do."""
    ran = await Kuji(tmp_path)("reconcile")
    expected = (
        f"kuji: No stack runs in {tmp_path}: start one with `make up`, "
        "or set KUJI_POSTGRES_DSN and KUJI_REDIS_URL\n"
    )
    assert (2, "", expected) == ran


@pytest.mark.parametrize("broken", ["KUJI_POSTGRES_DSN", "KUJI_REDIS_URL"])
async def test_reconcile_exits_2_in_one_sentence_when_a_store_does_not_answer(
    kuji: Kuji, broken: str
) -> None:
    """A store that is down is named; no traceback."""
    scheme = kuji.environment[broken].partition("://")[0]
    kuji.environment[broken] = f"{scheme}://127.0.0.1:1/0"
    ran = await kuji("reconcile")
    name = "Postgres" if broken == "KUJI_POSTGRES_DSN" else "Redis"
    assert (2, 1) == (ran.code, len(ran.err.splitlines()))
    assert ran.err.startswith(f"kuji: {name} does not answer: ")


@pytest.mark.parametrize("is_at_work", [False, True])
async def test_reconcile_exits_2_when_postgres_is_frozen(
    kuji: Kuji, postgres: asyncpg.Pool, postgres_dsn: str, is_at_work: bool
) -> None:
    """Whenever it falls silent, the command ends within seconds and says so."""
    server = urlsplit(postgres_dsn)
    async with (
        proxying(str(server.hostname), int(server.port or 0)) as proxy,
        postgres.acquire() as connection,
        connection.transaction(),
    ):
        kuji.environment["KUJI_POSTGRES_DSN"] = proxy.instead_of(postgres_dsn)
        await connection.execute("LOCK TABLE pools")  # the audit waits here, as on a long statement
        if not is_at_work:
            proxy.hang()
        running = asyncio.create_task(kuji("reconcile"))
        if is_at_work:
            await _until_waiting(postgres)
            proxy.hang()
        ran = await running
    assert (2, 1) == (ran.code, len(ran.err.splitlines()))
    assert ran.err.startswith("kuji: Postgres does not answer")


async def _until_waiting(postgres: asyncpg.Pool) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with asyncio.timeout(60):
        while not await postgres.fetchval(waiting):  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(0.01)


async def test_reconcile_reads_the_stack_that_runs_in_its_home(
    tmp_path: Path, postgres_dsn: str, redis_url: str
) -> None:
    """endpoints.json is enough to find the stores."""
    endpoints = {
        "edge": "http://127.0.0.1:1",
        "grpc": {},
        "redis": redis_url,
        "postgres": postgres_dsn,
        "admin": {"username": "admin", "password": "x"},
    }
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    ran = await Kuji(tmp_path)("reconcile")
    assert (0, "✓ the books balance (0 pools)\n") == ran[:2]


def _ring(postgres: asyncpg.Pool) -> KeyRing:
    return KeyRing(KeyStore(postgres), KeyCipher(bytes.fromhex(SECRET)), timedelta())


async def test_keys_rotate_publishes_a_key_beside_the_old_one(
    kuji: Kuji, postgres: asyncpg.Pool
) -> None:
    """The new key can be read with the secret; the old one stays published."""
    ring = _ring(postgres)
    await ring.load()
    old = ring.signing_key().kid
    kuji.environment["KUJI_TOKEN_KEY_SECRET"] = SECRET
    ran = await kuji("keys", "rotate")
    await ring.load()
    kids = [jwk["kid"] for jwk in ring.jwks()["keys"] if jwk["alg"] == "RS256"]
    assert (0, 2, old) == (ran.code, len(kids), kids[0])
    assert kids[1] in ran.out


async def test_keys_rotate_changes_nothing_when_the_secret_is_another(
    kuji: Kuji, postgres: asyncpg.Pool
) -> None:
    """A key that the auth service could not read is never stored."""
    await _ring(postgres).load()
    kuji.environment["KUJI_TOKEN_KEY_SECRET"] = "00" * 32
    ran = await kuji("keys", "rotate")
    assert (2, 1) == (ran.code, await postgres.fetchval("SELECT count(*) FROM login_keys"))
    assert ran.err.startswith("kuji: KUJI_TOKEN_KEY_SECRET does not open the signing key")


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [("", "is not set"), ("abc", "must be 64 hex digits"), ("zz" * 32, "must be 64 hex digits")],
)
async def test_keys_rotate_exits_2_when_the_secret_is_missing_or_unfit(
    kuji: Kuji, secret: str, sentence: str
) -> None:
    """The variable is named."""
    kuji.environment["KUJI_TOKEN_KEY_SECRET"] = secret
    assert (2, "", f"kuji: KUJI_TOKEN_KEY_SECRET {sentence}\n") == await kuji("keys", "rotate")

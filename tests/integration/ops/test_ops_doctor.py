"""kuji doctor and all but the stores' own settings: draws, keys, files, certificates, parts."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis

from ops.doctor.files import judge_disk
from ops.doctor.parts import judge_envoy
from ops.doctor.recording import Waiting, judge_backlog
from ops.doctor.symptoms import Grade
from services.auth.key_store import KeyStore
from services.auth.keys import KeyCipher, KeyRing
from services.pool.seeds import SeedCipher
from services.pool.store.keys import key
from stack.home import Home
from stack.ports import free_port
from tests.support.books import Pool, open_pool
from tests.support.command import run_kuji
from tests.support.doctor import Doctor
from tests.support.draw_service import own_valkey
from tests.support.proxy import proxying

_WRONG, _WARNING, _UNKNOWN = Grade.WRONG, Grade.WARNING, Grade.UNKNOWN
KEY = "5e" * 32


@pytest.fixture
def doctor(tmp_path: Path, redis_url: str, redis: Redis, postgres_dsn: str) -> Doctor:
    """Of the stores of this test, and of an empty home."""
    del redis  # emptied
    return Doctor(tmp_path, redis_url, postgres_dsn)


@pytest.fixture
async def pool(postgres: asyncpg.Pool, redis: Redis) -> Pool:
    """A pool with ten draws, which are recorded."""
    pool = await open_pool(postgres, redis, 5)
    await pool.configure(0.5)
    await pool.draw(10)
    await pool.record()
    return pool


# ---------------------------------------------------------------- draws


async def test_doctor_finds_a_pool_whose_recording_is_halted(doctor: Doctor, pool: Pool) -> None:
    """With the reason; it is no finding of the books as well."""
    await doctor.is_content("Draws", "halted")
    await pool.postgres.execute("UPDATE pools SET halted_reason = 'draw 7 expected'")
    await doctor.finds("Draws", "halted", _WRONG, f"pool {pool.pool_id} is halted: draw 7 expected")
    await doctor.is_content("Draws", "books")


async def test_doctor_counts_what_is_not_recorded_yet(doctor: Doctor, pool: Pool) -> None:
    """From the ledger, whatever ids were skipped."""
    await doctor.finds("Draws", "backlog", Grade.OK, "everything drawn is recorded, in 1 pools")
    await pool.redis.hincrby(key(pool.pool_id, "state"), "seq", 4_000_000)  # as a new run does
    await doctor.finds("Draws", "backlog", Grade.OK, "everything drawn is recorded")
    await pool.redis.hincrby(key(pool.pool_id, "state"), "seq", -4_000_000)
    await pool.draw(3)
    await doctor.finds("Draws", "backlog", Grade.OK, "3 draws are not recorded yet")


@pytest.mark.parametrize(
    ("draws", "oldest_s", "grade"),
    [
        (999, 0.3, Grade.OK),
        (999, 12.0, _WARNING),
        (999, 90.0, _WRONG),
        (50_000, 0.3, _WRONG),
        (100_000, 0.3, _WRONG),
    ],
)
def test_doctor_finds_a_recorder_that_is_behind(draws: int, oldest_s: float, grade: Grade) -> None:
    """By age, and by what may wait."""
    symptom = judge_backlog({4: Waiting(draws, oldest_s), 5: Waiting(1, 0.0)}, 100_000)
    assert (grade, True) == (symptom.grade, f"{draws + 1:,} draws" in symptom.sentence)


async def test_doctor_finds_units_held_back_and_seeds_that_are_not_revealed(
    doctor: Doctor, pool: Pool
) -> None:
    """Of what has ended a while ago."""
    await doctor.is_content("Draws", "held back")
    await doctor.is_content("Draws", "seeds")
    await pool.postgres.execute("UPDATE prizes SET held_count = 1, total_count = total_count + 1")
    await pool.postgres.execute(
        "UPDATE activities SET status = 'ended', updated_at = now() - interval '1 hour'"
    )
    await doctor.finds("Draws", "held back", _WARNING, f"pool {pool.pool_id} holds 1 units")
    await doctor.finds("Draws", "seeds", _WARNING, f"activity {pool.activity_id}")
    await pool.postgres.execute("UPDATE activities SET updated_at = now()")
    await doctor.is_content("Draws", "seeds")


async def test_doctor_finds_what_reconcile_finds(doctor: Doctor, pool: Pool) -> None:
    """Stock that was edited, and a Redis that is older or empty; with the place in the runbook."""
    await doctor.is_content("Draws", "books")
    await pool.redis.hincrby(key(pool.pool_id, "stock"), str(pool.prize_ids[0]), -1)
    await doctor.finds("Draws", "books", _WRONG, "but there are 5 units (off by -1)")
    await pool.redis.flushall()
    await doctor.finds("Draws", "books", _WRONG, "Redis does not hold it")
    (lost,) = await doctor("Draws", "books")
    assert lost.next_step.endswith("#redis-lost-or-older-than-it-should-be")


# ---------------------------------------------------------------- keys


async def test_doctor_finds_signing_keys_missing_old_or_shut(
    doctor: Doctor, postgres: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the secret, where it is known."""
    await doctor.finds("Keys", "signing", _WRONG, "there is no signing key")
    await KeyRing(KeyStore(postgres), KeyCipher(bytes.fromhex(KEY)), timedelta()).load()
    monkeypatch.setenv("KUJI_TOKEN_KEY_SECRET", KEY)
    await doctor.is_content("Keys", "signing")
    monkeypatch.setenv("KUJI_TOKEN_KEY_SECRET", "00" * 32)
    await doctor.finds("Keys", "signing", _WRONG, "does not open the signing key")
    monkeypatch.setenv("KUJI_TOKEN_KEY_SECRET", KEY)
    for table in ("signing_keys", "login_keys"):
        await postgres.execute(f"UPDATE {table} SET created_at = now() - interval '200 days'")
    await doctor.finds("Keys", "signing", _WARNING, "200 days old")


async def test_doctor_finds_a_seed_key_that_does_not_open_the_seeds(
    doctor: Doctor, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pools that may draw."""
    seed, opening = b"\7" * 32, SeedCipher(KEY)
    await pool.postgres.execute(
        "INSERT INTO pool_seeds (pool_id, commitment, encrypted_seed) VALUES ($1, $2, $3)",
        pool.pool_id,
        sha256(seed).digest(),
        opening.encrypt(pool.pool_id, seed),
    )
    await doctor.finds("Keys", "seed key", _UNKNOWN, "KUJI_SEED_KEY is not known here")
    monkeypatch.setenv("KUJI_SEED_KEY", KEY)
    await doctor.is_content("Keys", "seed key")
    monkeypatch.setenv("KUJI_SEED_KEY", "00" * 32)
    await doctor.finds("Keys", "seed key", _WRONG, f"the seed of pool {pool.pool_id}")


async def test_doctor_finds_secrets_without_form_and_secrets_that_are_the_same(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named, not shown."""
    monkeypatch.setenv("KUJI_SEED_KEY", KEY)
    await doctor.is_content("Keys", "secrets")
    monkeypatch.setenv("KUJI_CODE_KEY", KEY)
    await doctor.finds("Keys", "secrets", _WARNING, "KUJI_SEED_KEY and KUJI_CODE_KEY are the same")
    monkeypatch.setenv("KUJI_CODE_KEY", "five-and-twenty")
    await doctor.finds("Keys", "secrets", _WRONG, "KUJI_CODE_KEY is not 64 hexadecimal digits")
    assert "five-and" not in repr(await doctor("Keys", "secrets"))


async def test_doctor_finds_a_signing_key_that_is_not_published(
    doctor: Doctor, postgres: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the edge says decides; a fresh key may be on its way."""
    ring = KeyRing(KeyStore(postgres), KeyCipher(bytes.fromhex(KEY)), timedelta())
    await ring.load()
    pages = {"/.well-known/jwks.json": json.dumps(ring.jwks())}
    async with serving(pages) as port:
        monkeypatch.setenv("KUJI_EDGE_URL", f"http://127.0.0.1:{port}")
        await doctor.is_content("Keys", "published")
        pages["/.well-known/jwks.json"] = '{"keys": []}'
        await doctor.is_content("Keys", "published")
        await postgres.execute("UPDATE signing_keys SET created_at = now() - interval '1 hour'")
        await doctor.finds("Keys", "published", _WRONG, "does not publish the signing key")


# ---------------------------------------------------------------- certificates


def _certificate(folder: Path, days: tuple[int, int]) -> tuple[Path, Path]:
    """Certificate and key, valid from so many days from now until so many."""
    private, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kuji.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1], hours=1))
        .sign(private, SHA256())
    )
    files = folder / "tls.crt", folder / "tls.key"
    files[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files[1].write_bytes(private.private_bytes(*form))
    files[1].chmod(0o600)
    return files


@pytest.mark.parametrize(
    ("days", "grade", "words"),
    [
        ((-1, 90), Grade.OK, "is valid until"),
        ((-1, 7), _WARNING, "expires on"),
        ((-9, -2), _WRONG, "has expired on"),
        ((2, 90), _WRONG, "is not valid before"),
    ],
)
async def test_doctor_finds_a_certificate_that_expires(
    doctor: Doctor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: tuple[int, int],
    grade: Grade,
    words: str,
) -> None:
    """In a file, and where the edge shows it."""
    certificate, private = _certificate(tmp_path, days)
    monkeypatch.setenv("KUJI_TLS_CERT_FILE", str(certificate))
    monkeypatch.setenv("KUJI_TLS_KEY_FILE", str(private))
    await doctor.finds("Keys", "files", grade, words)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, private)
    async with serving({}, context) as port:
        monkeypatch.setenv("KUJI_EDGE_URL", f"https://127.0.0.1:{port}")
        await doctor.finds("Keys", "edge", grade, words)


async def test_doctor_finds_a_key_that_is_not_the_certificates(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And files that are not there, or hold something else."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    certificate, _ = _certificate(tmp_path / "one", (-1, 90))
    _, private = _certificate(tmp_path / "other", (-1, 90))
    monkeypatch.setenv("KUJI_EDGE_TLS_CERT_FILE", str(certificate))
    monkeypatch.setenv("KUJI_EDGE_TLS_KEY_FILE", str(private))
    await doctor.finds("Keys", "files", _WRONG, f"{private} is not the key of {certificate}")
    certificate.write_text("no certificate")
    await doctor.finds("Keys", "files", _WRONG, "holds no certificate")
    certificate.unlink()
    await doctor.finds("Keys", "files", _WRONG, "cannot be read")


# ---------------------------------------------------------------- this machine


async def test_doctor_finds_secrets_that_others_may_read(doctor: Doctor, tmp_path: Path) -> None:
    """And secrets that are gone while there is data."""
    Home(tmp_path).secrets()
    os.chmod(tmp_path, 0o700)  # noqa: PTH101  # Path.chmod is seen as blocking
    await doctor.is_content("Machine", "secrets")
    (tmp_path / "secrets.json").chmod(0o640)
    await doctor.finds("Machine", "secrets", _WRONG, "secrets.json may be read by others")
    (tmp_path / "secrets.json").unlink()
    (tmp_path / "data").mkdir()
    await doctor.finds("Machine", "secrets", _WRONG, "secrets.json is gone")


async def test_doctor_finds_a_disk_that_fills(doctor: Doctor, tmp_path: Path) -> None:
    """By share, and by what is left."""
    sizes = [(100 << 30, 50 << 30), (100 << 30, 1 << 30), (4 << 30, 1 << 30), (100 << 30, 1 << 20)]
    grades = [judge_disk(tmp_path, total, total - free, free).grade for total, free in sizes]
    assert [Grade.OK, _WARNING, Grade.OK, _WRONG] == grades
    (seen,) = await doctor("Machine", "disk")
    assert f"are free in {tmp_path}" in seen.sentence


async def test_doctor_finds_a_store_log_that_is_torn_or_damaged(
    doctor: Doctor, tmp_path: Path
) -> None:
    """Without touching it. What a power loss leaves is one thing, other damage another."""
    async with own_valkey(tmp_path / "store") as valkey, Redis.from_url(valkey.url) as redis:
        await redis.set("a", b"\r\n*1\r\n" * 1000)
    source = tmp_path / "store" / "data" / "appendonlydir"
    folder = tmp_path / "data" / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    await doctor.is_content("Redis", "log")
    last = max(folder.glob("*.incr.aof"), key=lambda one: one.stat().st_mtime)
    whole = last.read_bytes()
    last.write_bytes(whole + bytes(12))
    await doctor.finds("Redis", "log", _WARNING, "the last 12 bytes")
    last.write_bytes(whole + b"*3\r\n$3\r\nSET\r\n$1\r\nb")
    await doctor.finds("Redis", "log", _WARNING, "the last 18 bytes")
    assert 18 == last.stat().st_size - len(whole)
    last.write_bytes(whole[:30] + b"x" * 40 + whole[70:])
    await doctor.finds("Redis", "log", _WRONG, "is damaged at byte")


# ---------------------------------------------------------------- parts


@asynccontextmanager
async def serving(
    pages: dict[str, str], context: ssl.SSLContext | None = None, late: timedelta = timedelta()
) -> AsyncIterator[int]:
    """The port of a server with these pages, whose clock is so *late*."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with_path = await reader.readline()
        body = pages.get(with_path.split()[1].decode(), "") if with_path else ""
        date = (datetime.now(UTC) - late).strftime("%a, %d %b %Y %H:%M:%S GMT")
        head = f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def test_doctor_finds_processes_of_two_versions_and_one_that_waits(
    doctor: Doctor, tmp_path: Path
) -> None:
    """From what their metrics say."""
    build = 'kuji_build_info{{part="draw",version="{}"}} 1.0\n'
    pages = {"/draw": build.format("0.1.0"), "/recorder": build.format("0.1.0")}
    async with serving(pages) as port:
        urls = {page[1:]: f"http://127.0.0.1:{port}{page}" for page in pages}
        (tmp_path / "endpoints.json").write_text(json.dumps({"metrics": urls}))
        await doctor.is_content("Parts", "processes")
        pages["/draw"] = build.format("0.2.0")
        pages["/recorder"] += 'kuji_work_interrupted{work="record"} 1.0\n'
        await doctor.finds("Parts", "processes", _WARNING, "0.1.0: recorder; 0.2.0: draw")
        await doctor.finds("Parts", "processes", _WRONG, "recorder: work without end waits")
        pages["/draw"] = build.format("0.1.0") + "kuji_draw_pools_behind 2.0\n"
        await doctor.finds("Parts", "processes", _WRONG, "Redis is older than what was answered")


def test_doctor_finds_an_envoy_that_is_too_old() -> None:
    """By numbers, not by letters."""
    grades = [judge_envoy(release).grade for release in ("1.9.3", "1.35.9", "1.36.0", "1.100.1")]
    assert [_WRONG, _WRONG, Grade.OK, Grade.OK] == grades


async def test_doctor_finds_services_and_an_edge_that_do_not_answer(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by addresses, as in a pod; dead or frozen."""
    monkeypatch.setenv("KUJI_DRAW_ADDRESS", f"localhost:{free_port()}")
    monkeypatch.setenv("KUJI_EDGE_URL", f"http://127.0.0.1:{free_port()}")
    await doctor.finds("Parts", "services", _WRONG, "does not answer: UNAVAILABLE")
    await doctor.finds("Parts", "edge", _WRONG, "does not answer: ")
    async with serving({"/healthz": "ok"}) as port, proxying("127.0.0.1", port) as proxy:
        monkeypatch.setenv("KUJI_DRAW_ADDRESS", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("KUJI_EDGE_URL", f"http://127.0.0.1:{proxy.port}")
        await doctor.is_content("Parts", "edge")
        proxy.hang()
        await doctor.finds("Parts", "services", _WRONG, "does not answer: DEADLINE_EXCEEDED")
        await doctor.finds("Parts", "edge", _WRONG, "nothing came in time")


async def test_doctor_finds_a_process_whose_clock_is_off(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edge's and a service's, by what they date their answers."""
    async with serving({"/healthz": "ok"}, late=timedelta(minutes=1)) as port:
        monkeypatch.setenv("KUJI_EDGE_URL", f"http://127.0.0.1:{port}")
        await doctor.finds("Parts", "edge", _WRONG, "the edge's clock is")
        metrics = {"metrics": {"draw": f"http://127.0.0.1:{port}/metrics"}}
        (tmp_path / "endpoints.json").write_text(json.dumps(metrics))
        await doctor.finds("Parts", "processes", _WRONG, "draw's clock is")


async def test_doctor_ends_in_time_and_tells_no_secret_when_both_stores_are_dead_or_frozen(
    tmp_path: Path, redis_url: str, postgres_dsn: str
) -> None:
    """A dead neighbour is a finding, not a traceback, and exit code 2."""
    server, password = urlsplit(postgres_dsn), "correct-horse-battery"
    async with (
        proxying(str(server.hostname), int(server.port or 0)) as postgres,
        proxying("127.0.0.1", int(urlsplit(redis_url).port or 0)) as redis,
    ):
        postgres.hang()
        redis.hang()
        frozen = {
            "KUJI_POSTGRES_DSN": f"postgresql://kuji:{password}@127.0.0.1:{postgres.port}/kuji",
            "KUJI_REDIS_URL": f"redis://operator:{password}@127.0.0.1:{redis.port}/0",
        }
        dead = {
            "KUJI_POSTGRES_DSN": f"postgresql://kuji:{password}@127.0.0.1:1/kuji",
            "KUJI_REDIS_URL": f"redis://operator:{password}@127.0.0.1:1/0",
        }
        secrets = {"KUJI_SEED_KEY": KEY}
        for stores in (frozen, dead):
            ran = await run_kuji("doctor", KUJI_HOME=str(tmp_path), **stores, **secrets)
            assert 2 == ran.code, ran
            assert "Traceback" not in ran.err
            for name in ("Redis", "Postgres"):
                assert f"{name} does not answer" in ran.out
            assert not [one for one in (password, KEY) if one in ran.out + ran.err]


async def test_doctor_tells_a_program_what_it_saw_and_how_bad_it_is(
    tmp_path: Path, redis_url: str, redis: Redis, postgres_dsn: str
) -> None:
    """As JSON: this Postgres is a throwaway without fsync, which is wrong."""
    stores = {"KUJI_POSTGRES_DSN": postgres_dsn, "KUJI_REDIS_URL": redis_url}
    ran = await run_kuji("doctor", "--json", KUJI_HOME=str(tmp_path), **stores)
    told = json.loads(ran.out)
    assert (2, "wrong") == (ran.code, told["grade"])
    wrong = {(one["area"], one["check"]) for one in told["checks"] if one["grade"] == "wrong"}
    assert {("Postgres", "durability"), ("Keys", "signing")} == wrong
    assert {"area", "check", "grade", "sentence", "why", "next_step"} == told["checks"][0].keys()


async def test_doctor_says_that_a_stack_does_not_run_and_looks_at_its_files(
    tmp_path: Path,
) -> None:
    """A stack that is stopped is looked at, too; an empty place is none."""
    nothing = await run_kuji("doctor", KUJI_HOME=str(tmp_path))
    assert (2, 1) == (nothing.code, len(nothing.err.splitlines()))
    assert nothing.err.startswith(f"kuji: There is no stack in {tmp_path}")
    Home(tmp_path).secrets()
    (tmp_path / "data" / "marks").mkdir(parents=True)
    ran = await run_kuji("doctor", KUJI_HOME=str(tmp_path))
    assert 2 == ran.code
    assert f"no stack runs in {tmp_path}" in ran.out
    assert "5 secrets, each another" in ran.out

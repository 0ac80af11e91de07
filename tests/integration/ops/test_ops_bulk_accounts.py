"""kuji users create, tokens and import: accounts by the thousand, none twice, none lost."""

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import jwt
import pytest

from services.auth import bulk_accounts
from services.auth.bulk_accounts import BulkAccounts
from services.auth.importing import HeaderError, Reader
from services.auth.key_store import KeyStore
from services.auth.keys import KeyCipher, KeyRing
from services.auth.passwords import Argon2Cost
from services.auth.user_store import UserStore
from services.common.keyset import Jwks
from services.common.tokens import TokenVerifier
from stack.processes import ROOT
from tests.support.auth import BAD_CREDENTIALS, PASSWORD, failure_of, login, serving
from tests.support.command import Ran, run_kuji
from tests.support.history import eventually

CHEAP = Argon2Cost(memory_kib=64, passes=1, lanes=1)
SECRET = "5e" * 32
_COUNT = "SELECT count(*) FROM accounts WHERE username LIKE 'load\\_%'"
_DISTINCT = "SELECT count(DISTINCT username) FROM accounts WHERE username LIKE 'load\\_%'"


async def kuji(dsn: str, *arguments: str | Path, **environment: str) -> Ran:
    """The command on this database."""
    settings = {"KUJI_ARGON2_MEMORY_KIB": "64", "KUJI_TOKEN_KEY_SECRET": SECRET}
    return await run_kuji(
        "users", *arguments, **{"KUJI_POSTGRES_DSN": dsn, **settings, **environment}
    )


async def create(dsn: str, count: int, *options: str, **environment: str) -> Ran:
    """Test accounts load_1 … load_count."""
    return await kuji(dsn, "create", "--count", str(count), *options, **environment)


# -------------------------------------------------------------------- create


async def test_accounts_are_made_once(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """As many as asked for in all: again nothing, more the difference."""
    for count, fresh in ((1000, 1000), (1000, 0), (1500, 500), (3, 0)):
        ran = await create(postgres_dsn, count)
        assert (ran.code, f"{fresh} of them new" in ran.out) == (0, True), ran
    assert await postgres.fetchval(_COUNT) == 1500 == await postgres.fetchval(_DISTINCT)
    ends = await postgres.fetch("SELECT id FROM accounts WHERE username IN ('load_1', 'load_1500')")
    assert len(ends) == 2


async def test_accounts_log_in_with_the_password(postgres_dsn: str) -> None:
    """It is printed; their hash is one of ours, of full cost, and the same for all of them."""
    ran = await create(postgres_dsn, 20, "--password", "a password of theirs")
    assert "password: a password of theirs" in ran.out
    async with serving(postgres_dsn) as stub:
        session = await login(stub, "load_17", "a password of theirs")
        assert session.username == "load_17"
        assert await failure_of(login(stub, "load_18", PASSWORD)) == BAD_CREDENTIALS


@asynccontextmanager
async def creating(dsn: str, count: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command that makes so many, under way."""
    others = {name: value for name, value in os.environ.items() if "KUJI_" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "users", "create", "--count", str(count)),
        cwd=ROOT,
        env={**others, "KUJI_POSTGRES_DSN": dsn, "KUJI_ARGON2_MEMORY_KIB": "64"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # As on a terminal, also where these tests run in the background of a shell, deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_some_are_there(postgres: asyncpg.Pool) -> None:
    """Return when a first part is made."""

    async def are_there() -> bool:
        return bool(await postgres.fetchval("SELECT sum(created) FROM bulk_accounts"))

    await eventually(are_there)


MANY = 120_000  # more than two chunks


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
async def test_same_command_goes_on_when_it_was_broken_off(
    number: signal.Signals, postgres: asyncpg.Pool, postgres_dsn: str
) -> None:
    """Killed in the middle or told to stop: exactly as many as asked for, none twice."""
    async with creating(postgres_dsn, MANY) as process:
        await until_some_are_there(postgres)
        process.send_signal(number)
        _, err = await asyncio.wait_for(process.communicate(), 60)
    if number is signal.SIGINT:
        assert (process.returncode, b"the same command goes on" in err) == (130, True)
    broken_off = await postgres.fetchval(_COUNT)
    assert 0 < broken_off < MANY
    assert (await create(postgres_dsn, MANY)).code == 0
    assert await postgres.fetchval(_COUNT) == MANY == await postgres.fetchval(_DISTINCT)


async def test_stop_that_a_client_kept_to_itself_is_still_one(
    postgres: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio.wait_for swallows a cancellation that comes as its work ends: no chunk follows."""
    chunk_begins = asyncio.Event()

    async def swallow(_: BulkAccounts, count: int) -> int:
        chunk_begins.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return count

    monkeypatch.setattr(BulkAccounts, "_create_chunk", swallow)
    run = BulkAccounts(postgres, "load_", CHEAP)
    making = asyncio.ensure_future(run.create(1000, PASSWORD, lambda _: None))
    await chunk_begins.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making


async def test_two_at_once_make_them_between_them(
    postgres: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each chunk is made by one of them."""
    monkeypatch.setattr(bulk_accounts, "CHUNK", 50)
    runs = [BulkAccounts(postgres, "load_", CHEAP) for _ in range(4)]
    await asyncio.gather(*(run.create(1000, PASSWORD, lambda _: None) for run in runs))
    assert await postgres.fetchval(_COUNT) == 1000 == await postgres.fetchval(_DISTINCT)


async def test_names_of_others_stay_theirs(postgres: asyncpg.Pool, postgres_dsn: str) -> None:
    """Somebody registered under one of the names: that account stays as it is."""
    await UserStore(postgres).add("LOAD_7", "their own hash", "them@example.org")
    ran = await create(postgres_dsn, 100)
    assert (ran.code, "99 of them new" in ran.out, "1 name belonged" in ran.out) == (0, True, True)
    theirs = await postgres.fetchval("SELECT password_hash FROM users WHERE username = 'LOAD_7'")
    assert theirs == "their own hash"
    assert await postgres.fetchval("SELECT count(*) FROM accounts") == 100


async def test_one_password_for_one_prefix(postgres_dsn: str) -> None:
    """Nobody ends up with accounts of two passwords by mistake."""
    await create(postgres_dsn, 10)
    ran = await create(postgres_dsn, 20, "--password", "quite another one")
    assert ran.code == 2
    assert "with another password" in ran.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--prefix", "a b"), "another prefix"),
        (("--password", "short"), "8 to 128 characters"),
    ],
)
async def test_unfit_options_are_one_sentence(
    options: tuple[str, str], sentence: str, postgres_dsn: str
) -> None:
    """Exit code 2, and nothing is made."""
    ran = await create(postgres_dsn, 10, *options)
    assert (ran.code, ran.out, sentence in ran.err) == (2, "", True), ran


# --------------------------------------------------------------- the guard


async def test_test_accounts_are_refused_outside_development(
    postgres: asyncpg.Pool, postgres_dsn: str, tmp_path: Path
) -> None:
    """Unless somebody insists, and then with a password of their own."""
    production = {"KUJI_ENVIRONMENT": "production"}
    switch = "--outside-development"
    for arguments in ((), (switch,)):
        ran = await create(postgres_dsn, 10, *arguments, **production)
        assert (ran.code, ran.out) == (2, "")
    ran = await kuji(
        postgres_dsn, "tokens", "--count", "1", "--out", tmp_path / "tokens", **production
    )
    assert (ran.code, switch in ran.err) == (2, True)
    assert await postgres.fetchval("SELECT count(*) FROM accounts") == 0
    ran = await create(postgres_dsn, 10, switch, "--password", "insisted on", **production)
    assert ran.code == 0


async def test_database_elsewhere_is_no_place_for_development() -> None:
    """Refused before it is even looked for."""
    ran = await create("postgresql://kuji@192.0.2.1/kuji", 10)
    assert (ran.code, "on another machine" in ran.err) == (2, True)


# -------------------------------------------------------------------- tokens


@pytest.mark.parametrize(("options", "algorithm"), [((), "EdDSA"), (("--as-logins",), "RS256")])
async def test_tokens_are_good_and_each_of_another_user(
    options: tuple[str, ...],
    algorithm: str,
    postgres: asyncpg.Pool,
    postgres_dsn: str,
    tmp_path: Path,
) -> None:
    """One a line, for their owner's eyes; administrators and deactivated users get none."""
    await create(postgres_dsn, 30)
    await postgres.execute("UPDATE accounts SET role = 'admin' WHERE username = 'load_1'")
    await postgres.execute("UPDATE accounts SET deactivated_at = now() WHERE username = 'load_2'")
    await postgres.execute("UPDATE accounts SET token_generation = 3 WHERE username = 'load_3'")
    file = tmp_path / "tokens.txt"
    ran = await kuji(postgres_dsn, "tokens", "--count", "28", "--out", file, *options)
    assert (ran.code, f"28 tokens in {file}" in ran.out) == (0, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ring = KeyRing(KeyStore(postgres), KeyCipher(bytes.fromhex(SECRET)), timedelta())
    await ring.load()

    async def fetch() -> Jwks:
        return ring.jwks()

    verifier = TokenVerifier(fetch)
    tokens = file.read_text().splitlines()
    assert {jwt.get_unverified_header(token)["alg"] for token in tokens} == {algorithm}
    callers = [await verifier.verify(token) for token in tokens]
    assert [caller.username for caller in callers] == [f"load_{n}" for n in range(3, 31)]
    assert [caller.generation for caller in callers[:2]] == [3, 0]
    assert {caller.role for caller in callers} == {"user"}


async def test_too_few_users_are_one_sentence(postgres_dsn: str, tmp_path: Path) -> None:
    """No file, not even a part of one."""
    await create(postgres_dsn, 3)
    ran = await kuji(postgres_dsn, "tokens", "--count", "4", "--out", tmp_path / "tokens")
    assert (ran.code, ran.out, "There are 3 such users only" in ran.err) == (2, "", True)
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240  # an empty folder


async def test_tokens_are_of_the_prefix_named(postgres_dsn: str, tmp_path: Path) -> None:
    """Among others, in whatever order they came."""
    for prefix in ("one.", "two.", "one."):
        await create(postgres_dsn, 5 if prefix == "two." else 9, "--prefix", prefix)
    file = tmp_path / "tokens"
    ran = await kuji(postgres_dsn, "tokens", "--count", "5", "--out", file, "--prefix", "two.")
    assert (ran.code, len(file.read_text().splitlines())) == (0, 5)


# -------------------------------------------------------------------- import

_DJANGO = "pbkdf2_sha256$20000$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0="
_BCRYPT = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
_FILE = f"""\
username,password_hash,email
ann,{_DJANGO},ann@example.org
bob,{_BCRYPT},
a b,{_BCRYPT},
"carl",{_BCRYPT},"carl@example.org"

dora,md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3,
emil,{_BCRYPT}
ANN,{_BCRYPT},another@example.org
fred,"{_BCRYPT},
gina,{_BCRYPT},no address
hans,{_BCRYPT},{"x" * 5000}
"""
_REASONS = {
    4: "username consists of",
    7: "no kind that we know",
    8: "2 fields instead of 3",
    9: "taken by an account with another e-mail address",
    10: "quotes do not match",
    11: "email looks like",
    12: "longer than",
    13: "not UTF-8",
    14: "NUL",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Good lines and bad ones."""
    file = tmp_path / "users.csv"
    bad_bytes = f"j\xf6rg,{_BCRYPT},\nkurt\0,{_BCRYPT},\n".encode("latin-1")
    file.write_bytes(_FILE.encode() + bad_bytes)
    return file


async def test_good_lines_go_in_and_bad_ones_are_named(
    postgres: asyncpg.Pool, postgres_dsn: str, file: Path
) -> None:
    """Each with its number and its reason; exit code 1."""
    ran = await kuji(postgres_dsn, "import", file)
    assert (ran.code, "3 added, 0 there already, 9 left out of 12" in ran.out) == (1, True), ran
    complaints = ran.err.splitlines()
    for line, reason in _REASONS.items():
        (found,) = [text for text in complaints if f"line {line}:" in text]
        assert reason in found
    rows = await postgres.fetch("SELECT username, email FROM users ORDER BY username")
    assert [tuple(row) for row in rows] == [
        ("ann", "ann@example.org"),
        ("bob", ""),
        ("carl", "carl@example.org"),
    ]


async def test_same_file_twice_changes_nothing(
    postgres: asyncpg.Pool, postgres_dsn: str, file: Path
) -> None:
    """Also when somebody has logged in, and has another hash since."""
    await kuji(postgres_dsn, "import", file)
    await postgres.execute("UPDATE users SET password_hash = 'newer' WHERE username = 'ann'")
    before = await postgres.fetch("SELECT * FROM accounts ORDER BY id")
    ran = await kuji(postgres_dsn, "import", file)
    assert "0 added, 3 there already, 9 left out of 12" in ran.out
    assert before == await postgres.fetch("SELECT * FROM accounts ORDER BY id")


async def test_imported_users_log_in_and_get_a_hash_of_ours(
    postgres: asyncpg.Pool, postgres_dsn: str, file: Path
) -> None:
    """With the password of the old system, however it was hashed; the first login upgrades it."""
    await kuji(postgres_dsn, "import", file)
    await postgres.execute("UPDATE users SET password_hash = $1 WHERE username = 'carl'", _DJANGO)
    async with serving(postgres_dsn) as stub:
        for username in ("ann", "carl"):
            assert await failure_of(login(stub, username, "lètmeinz")) == BAD_CREDENTIALS
            for _ in range(2):
                assert (await login(stub, username, "lètmein")).username == username
    rows = await postgres.fetch("SELECT password_hash FROM users WHERE username <> 'bob'")
    assert {row["password_hash"].split("$")[1] for row in rows if row["password_hash"]} == {
        "argon2id"
    }


async def test_file_without_its_columns_is_one_sentence(postgres_dsn: str, tmp_path: Path) -> None:
    """Exit code 2, and nothing is taken."""
    file = tmp_path / "users.csv"
    file.write_bytes(b"ann,x,y\n")
    ran = await kuji(postgres_dsn, "import", file)
    assert (ran.code, ran.out, "line 1 names the columns" in ran.err) == (2, "", True), ran


@pytest.mark.parametrize("line", ["", "username,password", "username,password_hash,username"])
def test_columns_that_are_no_columns_are_refused(line: str) -> None:
    """Before a line of the file is read."""
    with pytest.raises(HeaderError, match="line 1 names the columns"):
        Reader([line, "ann,x"])


async def test_file_of_a_spreadsheet_is_read(
    postgres: asyncpg.Pool, postgres_dsn: str, tmp_path: Path
) -> None:
    """With a byte order mark and Windows line ends, its columns in another order."""
    file = tmp_path / "users.csv"
    file.write_bytes(f"\ufeffemail,username,password_hash\r\n,ann,{_DJANGO}\r\n".encode())
    ran = await kuji(postgres_dsn, "import", file)
    assert (ran.code, "1 added" in ran.out) == (0, True), ran
    assert await postgres.fetchval("SELECT username FROM users") == "ann"


async def test_missing_file_is_one_sentence(postgres_dsn: str, tmp_path: Path) -> None:
    """Exit code 2."""
    ran = await kuji(postgres_dsn, "import", tmp_path / "none.csv")
    assert (ran.code, "cannot be read" in ran.err) == (2, True)

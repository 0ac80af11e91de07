"""Signing keys on a real Postgres."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import jwt
import pytest

from services.auth.access_tokens import AccessTokens
from services.auth.key_store import KeyRow, KeyStore
from services.auth.keys import KeyCipher, KeyRing, KeyUnreadableError, rotate_signing_key
from services.common.context import Caller, Role
from services.common.keyset import Jwks
from services.common.tokens import TokenVerifier

GRACE_S = 600.0
TOKEN_TTL_S = 900.0
SECRET = bytes(range(32))
ALICE = Caller(7, "alice", Role.USER)


class Clock:
    """The time of Postgres's clock at the start, plus what a test adds."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)


@pytest.fixture
def clock() -> Clock:
    """Right, for a start."""
    return Clock()


@pytest.fixture
def store(postgres: asyncpg.Pool) -> KeyStore:
    """No keys yet."""
    return KeyStore(postgres)


def ring_of(store: KeyStore, clock: Clock, secret: bytes = SECRET) -> KeyRing:
    """What one auth process holds; nothing loaded."""
    return KeyRing(store, KeyCipher(secret), timedelta(seconds=GRACE_S), clock)


async def rotate(store: KeyStore) -> str:
    """The new key's kid."""
    return await rotate_signing_key(store, KeyCipher(SECRET), GRACE_S, TOKEN_TTL_S)


def kids_of(jwks: Jwks, algorithm: str = "RS256") -> list[str]:
    """The names of a kind of keys in a key set."""
    return [key["kid"] for key in jwks["keys"] if key["alg"] == algorithm]


async def rows_of(store: KeyStore, algorithm: str = "RS256") -> list[KeyRow]:
    """The stored keys of a kind."""
    return [row for row in await store.list() if row.algorithm == algorithm]


async def test_one_first_key_is_made_when_many_processes_start_at_once(
    store: KeyStore, clock: Clock
) -> None:
    """All of them sign with the same key, at once: nobody could know another."""
    rings = [ring_of(store, clock) for _ in range(8)]
    await asyncio.gather(*(ring.load() for ring in rings))
    assert len({ring.signing_key().kid for ring in rings}) == 1
    assert ["EdDSA", "RS256"] == sorted(row.algorithm for row in await store.list())


async def test_key_is_the_same_when_loaded_again(store: KeyStore, clock: Clock) -> None:
    """A restart goes on with the stored key."""
    first, second = ring_of(store, clock), ring_of(store, clock)
    await first.load()
    await second.load()
    assert first.signing_key().kid == second.signing_key().kid
    assert first.jwks() == second.jwks()


async def test_new_key_is_published_before_it_signs(store: KeyStore, clock: Clock) -> None:
    """During the grace the old key signs and both are published; then the new one signs."""
    ring = ring_of(store, clock)
    await ring.load()
    old = ring.signing_key().kid
    new = await rotate(store)
    await ring.load()
    assert [old, new] == kids_of(ring.jwks())
    clock.ahead_s = GRACE_S - 5
    assert old == ring.signing_key().kid
    clock.ahead_s = GRACE_S + 5
    assert new == ring.signing_key().kid


async def test_old_key_is_published_until_its_last_token_has_expired(
    store: KeyStore, clock: Clock
) -> None:
    """Tokens it signed in its last moment stay good for their whole life; then it is gone."""
    ring = ring_of(store, clock)
    await ring.load()
    old = ring.signing_key().kid
    new = await rotate(store)
    await ring.load()
    clock.ahead_s = GRACE_S + TOKEN_TTL_S
    assert [old, new] == kids_of(ring.jwks())
    clock.ahead_s = GRACE_S + TOKEN_TTL_S + 65
    assert [new] == kids_of(ring.jwks())


async def test_two_rotations_in_a_row_hand_over_one_after_the_other(
    store: KeyStore, clock: Clock
) -> None:
    """Nobody signs with a key that others may not know yet, nor with one retired."""
    ring = ring_of(store, clock)
    await ring.load()
    old = ring.signing_key().kid
    await rotate(store)
    newest = await rotate(store)
    await ring.load()
    assert old == ring.signing_key().kid
    clock.ahead_s = GRACE_S + 5
    assert newest == ring.signing_key().kid
    clock.ahead_s = 10 * 24 * 3600
    assert newest == ring.signing_key().kid


async def test_rotations_at_once_leave_one_key_in_force(store: KeyStore, clock: Clock) -> None:
    """Several operators at once: the newest key is the one that is not retired."""
    await ring_of(store, clock).load()
    await asyncio.gather(*(rotate(store) for _ in range(6)))
    rows = await rows_of(store)
    assert len(rows) == 7
    assert [rows[-1].kid] == [row.kid for row in rows if row.not_after is None]


async def test_tokens_stay_good_across_a_rotation(store: KeyStore, clock: Clock) -> None:
    """A verifier that runs on accepts tokens of both keys, without a restart of anything."""
    ring = ring_of(store, clock)
    await ring.load()
    tokens = AccessTokens(ring, lambda: clock().timestamp())

    async def fetch() -> Jwks:
        return ring.jwks()

    verifier = TokenVerifier(fetch, lambda: clock().timestamp())
    before = tokens.issue(ALICE, 2000)
    assert await verifier.verify(before) == ALICE
    await rotate(store)
    await ring.load()
    clock.ahead_s = GRACE_S + 5
    after = tokens.issue(ALICE, 900)
    assert jwt.get_unverified_header(before)["kid"] != jwt.get_unverified_header(after)["kid"]
    assert [await verifier.verify(before), await verifier.verify(after)] == [ALICE, ALICE]


async def test_expired_keys_are_deleted_and_others_kept(
    store: KeyStore, clock: Clock, postgres: asyncpg.Pool
) -> None:
    """A key past its end leaves the table; the one in force and the one retiring stay."""
    ring = ring_of(store, clock)
    await ring.load()
    await rotate(store)
    await postgres.execute("UPDATE login_keys SET not_after = now() WHERE not_after IS NOT NULL")
    retiring = (await rows_of(store))[-1].kid
    newest = await rotate(store)
    await ring.delete_expired()
    assert [retiring, newest] == [row.kid for row in await rows_of(store)]
    assert await postgres.fetchval("SELECT count(*) FROM login_keys") == 2


async def test_private_half_is_encrypted_in_the_database(
    store: KeyStore, clock: Clock, postgres: asyncpg.Pool
) -> None:
    """The stored bytes are nonce, ciphertext and tag, and differ from the key."""
    ring = ring_of(store, clock)
    await ring.load()
    for algorithm in ("RS256", "EdDSA"):
        key = ring.signing_key(algorithm)
        stored = await postgres.fetchval(
            "SELECT private_key FROM (TABLE signing_keys UNION TABLE login_keys) AS keys"
            " WHERE kid = $1",
            key.kid,
        )
        raw = key.pair.raw()
        assert len(stored) == 12 + len(raw) + 16
        assert raw[-16:] not in stored


async def test_keys_do_not_open_when_the_secret_is_another(store: KeyStore, clock: Clock) -> None:
    """The error names the variable and the key; no second key is made."""
    await ring_of(store, clock).load()
    with pytest.raises(KeyUnreadableError, match="KUJI_TOKEN_KEY_SECRET"):
        await ring_of(store, clock, secret=bytes(32)).load()
    assert len(await store.list()) == 2


async def test_keys_do_not_open_when_swapped_in_the_database(
    store: KeyStore, clock: Clock, postgres: asyncpg.Pool
) -> None:
    """A private half is bound to its kid: moved to another row it is refused."""
    await ring_of(store, clock).load()
    await rotate(store)
    await postgres.execute(
        "UPDATE login_keys AS k SET private_key = o.private_key "
        "FROM login_keys AS o WHERE o.kid <> k.kid"
    )
    with pytest.raises(KeyUnreadableError):
        await ring_of(store, clock).load()


async def test_ring_keeps_its_keys_when_a_new_one_does_not_open(
    store: KeyStore, clock: Clock
) -> None:
    """A rotation with a wrong secret cannot take running processes down."""
    ring = ring_of(store, clock)
    await ring.load()
    before = ring.jwks()
    await rotate_signing_key(store, KeyCipher(bytes(32)), GRACE_S, TOKEN_TTL_S)
    with pytest.raises(KeyUnreadableError):
        await ring.load()
    assert before == ring.jwks()
    assert ring.signing_key()


async def test_key_of_before_signs_until_the_first_of_its_kind_is_known(
    store: KeyStore, clock: Clock, postgres: asyncpg.Pool
) -> None:
    """An older version had one key, Ed25519; what verifies tokens knows no other yet."""
    before = ring_of(store, clock)
    await before.load()
    old = before.signing_key("EdDSA").kid
    await postgres.execute("DELETE FROM login_keys")
    await postgres.execute("UPDATE signing_keys SET created_at = now() - interval '1 day'")
    ring = ring_of(store, clock)
    await ring.load()
    assert old == ring.signing_key().kid
    assert 1 == len(kids_of(ring.jwks()))
    clock.ahead_s = GRACE_S + 5
    assert kids_of(ring.jwks()) == [ring.signing_key().kid]


async def test_no_key_is_added_by_a_process_with_another_secret(
    store: KeyStore, clock: Clock, postgres: asyncpg.Pool
) -> None:
    """Not even one of a kind that is missing: the others could not open it."""
    await ring_of(store, clock).load()
    await postgres.execute("DELETE FROM login_keys")
    with pytest.raises(KeyUnreadableError):
        await ring_of(store, clock, secret=bytes(32)).load()
    assert ["EdDSA"] == [row.algorithm for row in await store.list()]

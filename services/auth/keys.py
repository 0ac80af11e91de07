"""
The keys that sign access tokens: made, encrypted at rest, published, rotated.

There is one of each kind at any time, see signing.py.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from jwt.utils import base64url_encode

from services.auth.key_store import KeyRow, KeyStore, NewKey
from services.auth.signing import KIND_OF_ALGORITHM, KeyPair, RsaKey
from services.common.keyset import Jwks

_NONCE_BYTES = 12
_CLOCK_SKEW_S = 60.0


class KeyUnreadableError(RuntimeError):
    """A stored key does not open with this secret."""

    def __init__(self, kid: str) -> None:
        super().__init__(f"KUJI_TOKEN_KEY_SECRET does not open the signing key {kid}")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """
    A key in use.

    Args:
        kid: Its name in token headers: the RFC 7638 thumbprint.
        pair: Both halves; the private one signs.
        public_jwk: Verifies.
        created_at: When it was published.
    """

    kid: str
    pair: KeyPair
    public_jwk: dict[str, str]
    created_at: datetime
    not_after: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether tokens signed by it may still be alive."""
        return self.not_after is None or now < self.not_after


class KeyCipher:
    """
    Encrypts private halves, raw: AES-256-GCM, the kid as associated data.

    Args:
        secret: 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._aead = AESGCM(secret)

    def seal(self, kid: str, raw: bytes) -> bytes:
        """Nonce (12 bytes), then the encrypted private half."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, raw, kid.encode())

    def open(self, kid: str, sealed: bytes) -> bytes:
        """The private half; KeyUnreadableError where secret or kid is another."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], kid.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyUnreadableError(kid) from error


class KeyRing:
    """
    The keys of this process, as of the last load.

    Args:
        grace: How long a new key is only published, before it signs: those who cache the
            key set (Envoy does not refetch for an unknown kid) must know it by then.
        now: The time, aware.
    """

    def __init__(
        self,
        store: KeyStore,
        cipher: KeyCipher,
        grace: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._grace = grace
        self._now = now
        self._keys: Sequence[SigningKey] = ()

    async def load(self) -> None:
        """Read the keys again, creating the first ones; KeyUnreadableError keeps the old ones."""
        keys = await self._stored()
        in_force = {key.pair.algorithm for key in keys if key.not_after is None}
        if missing := [name for name in KIND_OF_ALGORITHM if name not in in_force]:
            for algorithm in missing:
                await self._store.add_first(await _new_key(self._cipher, algorithm))
            keys = await self._stored()
        self._keys = keys

    def signing_key(self, algorithm: str = RsaKey.algorithm) -> SigningKey:
        """
        The newest key of *algorithm* that was published long enough ago.

        Where there is none, the newest such key of another; where there is none either, at the
        first start, the oldest of *algorithm*.
        """
        now = self._now()
        keys = [key for key in self._keys if key.is_valid(now)]
        published = [key for key in keys if key.created_at + self._grace <= now]
        fitting = [key for key in published if key.pair.algorithm == algorithm]
        if fitting or published:
            return (fitting or published)[-1]
        return next(key for key in keys if key.pair.algorithm == algorithm)

    def jwks(self) -> Jwks:
        """The public halves of all keys that tokens alive may be signed by (RFC 7517)."""
        now = self._now()
        return {"keys": [key.public_jwk for key in self._keys if key.is_valid(now)]}

    async def delete_expired(self) -> None:
        """Delete the stored keys that have expired."""
        await self._store.delete_expired()

    async def _stored(self) -> list[SigningKey]:
        return [self._key_of(row) for row in await self._store.list()]

    def _key_of(self, row: KeyRow) -> SigningKey:
        raw = self._cipher.open(row.kid, row.private_key)
        try:
            pair = KIND_OF_ALGORITHM[row.algorithm].of_raw(raw)
        except (KeyError, ValueError) as error:
            raise KeyUnreadableError(row.kid) from error
        return SigningKey(row.kid, pair, json.loads(row.public_jwk), row.created_at, row.not_after)


async def rotate_signing_key(
    store: KeyStore, cipher: KeyCipher, grace_s: float, token_ttl_s: float
) -> str:
    """
    Publish new keys, one of each kind; every auth process signs with them *grace_s* from now.

    The keys before them stay published until the last token they sign has expired. No process
    needs a restart.

    Args:
        grace_s: As the auth processes have it (key_grace_s).
        token_ttl_s: The longest life of a token.

    Returns:
        The kid of the new key that signs what a login gives.
    """
    keys = {name: await _new_key(cipher, name) for name in KIND_OF_ALGORITHM}
    await store.rotate(keys.values(), retire_after_s=grace_s + token_ttl_s + _CLOCK_SKEW_S)
    return keys[RsaKey.algorithm].kid


async def _new_key(cipher: KeyCipher, algorithm: str) -> NewKey:
    pair: KeyPair = await asyncio.to_thread(KIND_OF_ALGORITHM[algorithm].generate)
    public = pair.public_part()
    thumbprint = hashlib.sha256(json.dumps(public, separators=(",", ":")).encode()).digest()
    kid = base64url_encode(thumbprint).decode()
    public_jwk = {**public, "kid": kid, "alg": algorithm, "use": "sig"}
    return NewKey(algorithm, kid, json.dumps(public_jwk), cipher.seal(kid, pair.raw()))

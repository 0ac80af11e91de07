"""The keys that sign access tokens: made, encrypted at rest, published, rotated."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.auth.key_store import KeyRow, KeyStore
from services.common.keyset import Jwks
from services.common.tokens import ALGORITHM

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
        private: Signs.
        public_jwk: Verifies.
        created_at: When it was published.
    """

    kid: str
    private: Ed25519PrivateKey
    public_jwk: dict[str, str]
    created_at: datetime
    not_after: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether tokens signed by it may still be alive."""
        return self.not_after is None or now < self.not_after


class KeyCipher:
    """
    Encrypts private halves: AES-256-GCM, the kid as associated data.

    Args:
        secret: 32 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        self._aead = AESGCM(secret)

    def seal(self, kid: str, private: Ed25519PrivateKey) -> bytes:
        """Nonce (12 bytes), then the encrypted private half."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, private.private_bytes_raw(), kid.encode())

    def open(self, kid: str, sealed: bytes) -> Ed25519PrivateKey:
        """The private half; KeyUnreadableError where secret or kid is another."""
        try:
            raw = self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], kid.encode())
        except (InvalidTag, ValueError) as error:
            raise KeyUnreadableError(kid) from error
        return Ed25519PrivateKey.from_private_bytes(raw)


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
        """Read the keys again, creating the first one; KeyUnreadableError keeps the old ones."""
        rows = await self._store.list()
        if all(row.not_after for row in rows):
            await self._store.add_first(*_new_key(self._cipher))
            rows = await self._store.list()
        self._keys = [self._key_of(row) for row in rows]

    def signing_key(self) -> SigningKey:
        """The newest key that was published long enough ago; where there is none, the oldest."""
        now = self._now()
        keys = [key for key in self._keys if key.is_valid(now)]
        published = [key for key in keys if key.created_at + self._grace <= now]
        return published[-1] if published else keys[0]

    def jwks(self) -> Jwks:
        """The public halves of all keys that tokens alive may be signed by (RFC 7517)."""
        now = self._now()
        return {"keys": [key.public_jwk for key in self._keys if key.is_valid(now)]}

    async def delete_expired(self) -> None:
        """Delete the stored keys that have expired."""
        await self._store.delete_expired()

    def _key_of(self, row: KeyRow) -> SigningKey:
        private = self._cipher.open(row.kid, row.private_key)
        return SigningKey(
            row.kid, private, json.loads(row.public_jwk), row.created_at, row.not_after
        )


async def rotate_signing_key(
    store: KeyStore, cipher: KeyCipher, grace_s: float, token_ttl_s: float
) -> str:
    """
    Publish a new key; every auth process signs with it *grace_s* from now.

    The keys before it stay published until the last token they sign has expired. No process
    needs a restart.

    Args:
        grace_s: As the auth processes have it (key_grace_s).
        token_ttl_s: The longest life of a token.

    Returns:
        The kid of the new key.
    """
    key = _new_key(cipher)
    await store.rotate(*key, retire_after_s=grace_s + token_ttl_s + _CLOCK_SKEW_S)
    return key.kid


class _NewKey(NamedTuple):
    kid: str
    public_jwk: str
    private_key: bytes


def _new_key(cipher: KeyCipher) -> _NewKey:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    point = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
    kid = _base64url(hashlib.sha256(json.dumps(point, separators=(",", ":")).encode()).digest())
    public_jwk = {**point, "kid": kid, "alg": ALGORITHM, "use": "sig"}
    return _NewKey(kid, json.dumps(public_jwk), cipher.seal(kid, private))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

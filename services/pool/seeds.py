"""Seeds at rest: encrypted, write-once, bound to their pool."""

import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SeedCipher:
    """
    Encrypts seeds with AES-256-GCM; the pool id is associated data.

    Args:
        key_hex: 64 hexadecimal digits.
    """

    def __init__(self, key_hex: str) -> None:
        self._cipher = AESGCM(bytes.fromhex(key_hex))

    def encrypt(self, pool_id: int, seed: bytes) -> bytes:
        """*seed* as stored: nonce, then ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, seed, str(pool_id).encode())

    def decrypt(self, pool_id: int, stored: bytes) -> bytes:
        """The seed again; cryptography.exceptions.InvalidTag when key, pool or bytes are others."""
        nonce, ciphertext = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        return self._cipher.decrypt(nonce, ciphertext, str(pool_id).encode())

"""
Provable fairness: a draw's roll follows from a seed that was committed to before the first draw.

Anyone who has the revealed seed can recompute every roll; nobody can without it.
"""

import hashlib
import secrets

SEED_BYTES = 32
_BLOCK_BYTES = 64
_DIGEST = hashlib.blake2b(digest_size=16)


def new_seed() -> bytes:
    """32 fresh random bytes."""
    return secrets.token_bytes(SEED_BYTES)


def commitment(seed: bytes) -> bytes:
    """SHA-256 of *seed*, 32 bytes: published before the first draw."""
    return hashlib.sha256(seed).digest()


def roll_text(pool_id: int, user_id: int, request_id: str, index: int) -> str:
    """What a draw's random number is the HMAC of, keyed with the seed."""
    return f"{pool_id}|{user_id}|{request_id}|{index}"


class Roller:
    """
    Makes a pool's random numbers: HMAC-SHA256(seed, "pool|user|request|index").

    The two halves of the HMAC that do not change are hashed once: that halves its cost.

    Args:
        seed: The pool's, 32 bytes.
        pool_id: The pool.

    Source: HMAC, RFC 2104.
    """

    def __init__(self, seed: bytes, pool_id: int) -> None:
        key = seed.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + f"{pool_id}|".encode())
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def roll(self, user_id: int, request_id: str, index: int) -> bytes:
        """
        The random number of one draw, 32 bytes.

        Args:
            user_id: The user drawn for.
            request_id: The caller's name for the draw, ASCII.
            index: Place within a draw of n, from 0.
        """
        inner = self._inner.copy()
        inner.update(f"{user_id}|{request_id}|{index}".encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def rolls(self, user_id: int, request_id: str, draws: int) -> bytes:
        """The numbers of *draws* draws, one after the other."""
        if draws == 1:
            return self.roll(user_id, request_id, 0)
        return b"".join(self.roll(user_id, request_id, index) for index in range(draws))


def request_digest(user_id: int, request_id: str) -> bytes:
    """The 16 bytes under which a pool remembers a user's request id."""
    hashed = _DIGEST.copy()  # a fifth cheaper than a new one
    hashed.update(f"{user_id}|{request_id}".encode())
    return hashed.digest()

"""The key of the prize codes: it never leaves the draw service, and is never revealed."""

import hashlib

from services.pool.rule.prize_code import CODE_BYTES

_DOMAIN = b"kuji prize code"
_CODES_IN_HASH = 12


class CodeKey:
    """
    Makes what prize codes are made of.

    Args:
        key_hex: 64 hexadecimal digits.
    """

    def __init__(self, key_hex: str) -> None:
        self._key = bytes.fromhex(key_hex)

    def of_pool(self, pool_id: int) -> "PoolCodes":
        """The codes of one pool."""
        return PoolCodes(self._key, pool_id)


class PoolCodes:
    """
    Makes a pool's codes: 5 bytes each, twelve from one keyed BLAKE2b of "pool|user|request|dozen".

    Nothing that is ever published goes into them but the draw's name: who has rolls, tickets and
    the revealed seed knows no more of a code than who has nothing.

    Args:
        key: 32 bytes.
        pool_id: The pool.

    Source: BLAKE2, RFC 7693; the personalisation keeps it apart from any other use of the key.
    """

    def __init__(self, key: bytes, pool_id: int) -> None:
        self._keyed = hashlib.blake2b(
            f"{pool_id}|".encode(),
            digest_size=CODE_BYTES * _CODES_IN_HASH,
            key=key,
            person=_DOMAIN,
        )

    def codes(self, user_id: int, request_id: str, draws: int) -> bytes:
        """
        The code bytes of a draw of *draws*, one after the other, and those of a last prize.

        Args:
            user_id: The user drawn for.
            request_id: The caller's name for the draw, ASCII.
            draws: How many at once.
        """
        name = f"{user_id}|{request_id}|"
        if draws < _CODES_IN_HASH:
            return self._dozen(f"{name}0")[: CODE_BYTES * (draws + 1)]
        dozens = [self._dozen(f"{name}{dozen}") for dozen in range(draws // _CODES_IN_HASH + 1)]
        return b"".join(dozens)[: CODE_BYTES * (draws + 1)]

    def _dozen(self, name: str) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(name.encode())
        return keyed.digest()

"""
Draw tickets: what they say, and how they are known again without being kept.

A ticket is 64 characters of base64url, for 48 bytes: what it says (32) and a MAC (16) over that and
its user. It is the draw's request id, so the atomic step draws once with it and then replays.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from typing import NamedTuple

from services.common.errors import TicketInvalidError

LIFE_MS = 30_000
LENGTH = 64
_VERSION = 1
_BODY = struct.Struct(">BBQ6s6sI6s")  # version, difficulty, pool, opening, start, life, nonce
_MAC_BYTES = 16
_TIME_BYTES = 6
_NONCE_BYTES = 6
_TICKETS = b"kuji draw ticket"  # the personalisation keeps it apart from the key's other uses
_STARTS = b"kuji draw start"


class TicketClaims(NamedTuple):
    """
    What a ticket says.

    Args:
        pool_id: Where it draws.
        opening_ms: In which opening, see services/pool/rule/terms.py.
        not_before_ms, expires_ms: From when, and until when; Unix ms.
        difficulty: Leading zero bits that its puzzle asks for.
    """

    pool_id: int
    opening_ms: int
    not_before_ms: int
    expires_ms: int
    difficulty: int


class TicketSeal:
    """
    Makes tickets that nobody else can make, and knows them again.

    Args:
        keys_hex: 64 hexadecimal digits each: the first makes tickets, all know theirs.

    Source: keyed BLAKE2b, RFC 7693.
    """

    def __init__(self, keys_hex: Sequence[str]) -> None:
        self._keys = [bytes.fromhex(key) for key in keys_hex]

    def issue(self, user_id: int, claims: TicketClaims) -> str:
        """A ticket of *user_id*'s that says *claims*; another one each time."""
        body = _BODY.pack(
            _VERSION,
            claims.difficulty,
            claims.pool_id,
            claims.opening_ms.to_bytes(_TIME_BYTES),
            claims.not_before_ms.to_bytes(_TIME_BYTES),
            claims.expires_ms - claims.not_before_ms,
            secrets.token_bytes(_NONCE_BYTES),
        )
        return base64.urlsafe_b64encode(body + _mac(self._keys[0], user_id, body)).decode()

    def read(self, user_id: int, ticket: str) -> TicketClaims:
        """What *ticket* says; TicketInvalidError where it was not issued to *user_id*."""
        packed = _unpacked(ticket)
        body, mac = packed[: _BODY.size], packed[_BODY.size :]
        genuine = [hmac.compare_digest(mac, _mac(key, user_id, body)) for key in self._keys]
        version, difficulty, pool_id, opening, start, life_ms, _ = _BODY.unpack(body)
        if not any(genuine) or version != _VERSION:
            raise TicketInvalidError
        opening_ms, start_ms = int.from_bytes(opening), int.from_bytes(start)
        return TicketClaims(pool_id, opening_ms, start_ms, start_ms + life_ms, difficulty)

    def start_ms(self, user_id: int, pool_id: int, opening_ms: int, spread_ms: int) -> int:
        """When *user_id* may first draw in an opening: 0…*spread_ms* after it, known to none."""
        name = f"{pool_id}|{opening_ms}|{user_id}".encode()
        drawn = hashlib.blake2b(name, digest_size=16, key=self._keys[0], person=_STARTS).digest()
        return opening_ms + int.from_bytes(drawn) % (spread_ms + 1)


def solved_bits(ticket: str, solution: str) -> int:
    """Leading zero bits of SHA-256(ticket + ":" + solution)."""
    digest = hashlib.sha256(f"{ticket}:{solution}".encode()).digest()
    return 8 * len(digest) - int.from_bytes(digest).bit_length()


def _mac(key: bytes, user_id: int, body: bytes) -> bytes:
    content = body + user_id.to_bytes(8)
    return hashlib.blake2b(content, digest_size=_MAC_BYTES, key=key, person=_TICKETS).digest()


def _unpacked(ticket: str) -> bytes:
    if len(ticket) != LENGTH or not ticket.isascii():
        raise TicketInvalidError
    try:
        packed = base64.b64decode(ticket, altchars=b"-_", validate=True)
    except binascii.Error:
        raise TicketInvalidError from None
    # One ticket, one text: another spelling would be another request id, and draw once more.
    if base64.urlsafe_b64encode(packed).decode() != ticket:
        raise TicketInvalidError
    return packed

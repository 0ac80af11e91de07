"""
Password hashes of other systems: read when accounts are imported, and checked until their owner
logs in and has one of ours.

    $argon2id$v=19$m=…,t=…,p=…$…   Argon2 (id, i, d); also behind Django's "argon2"
    $2b$12$…                       bcrypt, also $2a$ and $2y$; also behind Django's "bcrypt$" and
                                   "bcrypt_sha256$"
    pbkdf2_sha256$600000$salt$…    PBKDF2 of Django, also pbkdf2_sha1
    $pbkdf2-sha256$29000$salt$…    PBKDF2 of passlib, also $pbkdf2-sha512$ and $pbkdf2$ (SHA-1)
    pbkdf2:sha256:600000$salt$…    PBKDF2 of Werkzeug, also sha1 and sha512
    scrypt$16384$salt$8$1$…        scrypt of Django
    scrypt:32768:8:1$salt$…        scrypt of Werkzeug

One that costs far more than ours is refused: every guess at it would cost us that.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_HASH_LENGTH = 512
_MAX_BCRYPT_ROUNDS = 14
_MAX_PBKDF2_ITERATIONS = 2_000_000
_MAX_SCRYPT_BYTES = 64 << 20
_MAX_SCRYPT_WORK = 1 << 21  # n × r × p
_MAX_ARGON2_KIB = 256 << 10
_MAX_ARGON2_WORK = 1 << 20  # KiB × passes
_BCRYPT_BYTES = 72  # of a password; bcrypt looks at no more

_VERIFIER = PasswordHasher()  # takes the cost from the hash

_ARGON2 = re.compile(
    r"(?:argon2)?(\$argon2(?:id|i|d)\$v=19\$m=(\d+),t=(\d+),p=(\d+)"
    r"\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86})"
)
_BCRYPT = re.compile(r"(bcrypt\$|bcrypt_sha256\$|)(\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53})")
_DJANGO_PBKDF2 = re.compile(r"pbkdf2_(sha256|sha1)\$(\d+)\$([^$]+)\$([A-Za-z0-9+/=]+)")
_PASSLIB_PBKDF2 = re.compile(
    r"\$pbkdf2(-sha256|-sha512|)\$(\d+)\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]+)"
)
_WERKZEUG_PBKDF2 = re.compile(r"pbkdf2:(sha1|sha256|sha512):(\d+)\$([^$]+)\$([0-9a-f]+)")
_DJANGO_SCRYPT = re.compile(r"scrypt\$(\d+)\$([^$]+)\$(\d+)\$(\d+)\$([A-Za-z0-9+/=]+)")
_WERKZEUG_SCRYPT = re.compile(r"scrypt:(\d+):(\d+):(\d+)\$([^$]+)\$([0-9a-f]+)")


class UnknownHashError(Exception):
    """A hash of a kind that we cannot check, or will not for what it costs."""


class StoredHash(Protocol):
    """A hash that passwords can be checked against."""

    def matches(self, password: bytes) -> bool:
        """Whether *password* is the one."""


def parse_hash(text: str) -> StoredHash:
    """
    The hash that *text* is.

    Raises:
        UnknownHashError: It is none of those above, or costs too much.
    """
    if len(text) > MAX_HASH_LENGTH:
        raise UnknownHashError("the password hash is too long")
    for pattern, parse in _KINDS:
        if found := pattern.fullmatch(text):
            try:
                return parse(found)
            except (binascii.Error, ValueError) as error:
                raise UnknownHashError("the password hash is damaged") from error
    raise UnknownHashError("the password hash is of no kind that we know")


class _Argon2(NamedTuple):
    encoded: str

    def matches(self, password: bytes) -> bool:
        try:
            return _VERIFIER.verify(self.encoded, password)
        except (VerificationError, InvalidHashError):
            return False


class _Bcrypt(NamedTuple):
    encoded: bytes
    of_sha256: bool

    def matches(self, password: bytes) -> bool:
        if self.of_sha256:
            password = hashlib.sha256(password).hexdigest().encode()
        try:
            return bcrypt.checkpw(password[:_BCRYPT_BYTES], self.encoded)
        except ValueError:
            return False


class _Pbkdf2(NamedTuple):
    digest: str
    iterations: int
    salt: bytes
    key: bytes

    def matches(self, password: bytes) -> bool:
        made = hashlib.pbkdf2_hmac(self.digest, password, self.salt, self.iterations, len(self.key))
        return hmac.compare_digest(made, self.key)


class _Scrypt(NamedTuple):
    n: int
    r: int
    p: int
    salt: bytes
    key: bytes

    def matches(self, password: bytes) -> bool:
        made = hashlib.scrypt(
            password,
            salt=self.salt,
            n=self.n,
            r=self.r,
            p=self.p,
            maxmem=2 * _MAX_SCRYPT_BYTES,
            dklen=len(self.key),
        )
        return hmac.compare_digest(made, self.key)


def _argon2(found: re.Match[str]) -> StoredHash:
    memory_kib, passes = int(found[2]), int(found[3])
    _bound(memory_kib <= _MAX_ARGON2_KIB and memory_kib * passes <= _MAX_ARGON2_WORK)
    return _Argon2(found[1])


def _bcrypt(found: re.Match[str]) -> StoredHash:
    _bound(4 <= int(found[3]) <= _MAX_BCRYPT_ROUNDS)
    return _Bcrypt(found[2].encode(), found[1] == "bcrypt_sha256$")


def _django_pbkdf2(found: re.Match[str]) -> StoredHash:
    return _pbkdf2(found[1], found[2], found[3].encode(), base64.b64decode(found[4], validate=True))


def _passlib_pbkdf2(found: re.Match[str]) -> StoredHash:
    digest = found[1].removeprefix("-") or "sha1"
    return _pbkdf2(digest, found[2], _ab64(found[3]), _ab64(found[4]))


def _werkzeug_pbkdf2(found: re.Match[str]) -> StoredHash:
    return _pbkdf2(found[1], found[2], found[3].encode(), bytes.fromhex(found[4]))


def _django_scrypt(found: re.Match[str]) -> StoredHash:
    key = base64.b64decode(found[5], validate=True)
    return _scrypt(int(found[1]), int(found[3]), int(found[4]), found[2].encode(), key)


def _werkzeug_scrypt(found: re.Match[str]) -> StoredHash:
    key = bytes.fromhex(found[5])
    return _scrypt(int(found[1]), int(found[2]), int(found[3]), found[4].encode(), key)


def _pbkdf2(digest: str, iterations: str, salt: bytes, key: bytes) -> StoredHash:
    _bound(len(iterations) <= len(str(_MAX_PBKDF2_ITERATIONS)))
    _bound(1 <= int(iterations) <= _MAX_PBKDF2_ITERATIONS)
    _whole(key)
    return _Pbkdf2(digest, int(iterations), salt, key)


def _scrypt(n: int, r: int, p: int, salt: bytes, key: bytes) -> StoredHash:
    if n < 2 or n & (n - 1) or not r or not p:
        raise ValueError("scrypt cannot have these parameters")
    _bound(128 * n * r <= _MAX_SCRYPT_BYTES and n * r * p <= _MAX_SCRYPT_WORK)
    _whole(key)
    return _Scrypt(n, r, p, salt, key)


def _bound(is_within: bool) -> None:
    if not is_within:
        raise UnknownHashError("the password hash costs too much to check")


def _whole(key: bytes) -> None:
    if not 16 <= len(key) <= 64:
        raise ValueError("a key has 16 to 64 bytes")


def _ab64(text: str) -> bytes:
    # passlib's base64: "." for "+", without padding.
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


_KINDS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], StoredHash]], ...] = (
    (_ARGON2, _argon2),
    (_BCRYPT, _bcrypt),
    (_DJANGO_PBKDF2, _django_pbkdf2),
    (_PASSLIB_PBKDF2, _passlib_pbkdf2),
    (_WERKZEUG_PBKDF2, _werkzeug_pbkdf2),
    (_DJANGO_SCRYPT, _django_scrypt),
    (_WERKZEUG_SCRYPT, _werkzeug_scrypt),
)

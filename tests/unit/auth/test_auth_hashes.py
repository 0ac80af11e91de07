"""Hashes of other systems: their own examples match, and what costs too much is refused."""

import hashlib

import bcrypt
import pytest
from argon2 import PasswordHasher

from services.auth.hashes import UnknownHashError, parse_hash

_SHA256_HEX = hashlib.sha256("lètmein".encode()).hexdigest().encode()
_ARGON2 = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("lètmein")
# RFC 7914, section 12.
_SCRYPT_KEY = (
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
)
EXAMPLES = [
    ("lètmein", _ARGON2),
    ("lètmein", f"argon2{_ARGON2}"),
    ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("U*U", "bcrypt$$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    ("lètmein", f"bcrypt_sha256${bcrypt.hashpw(_SHA256_HEX, bcrypt.gensalt(4)).decode()}"),
    ("lètmein", "pbkdf2_sha256$20000$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0="),
    ("KRONOS", "pbkdf2_sha1$24000$seasalt$F+kiWNHXbMBcwgxsvSKFCWHnZZ0="),
    (
        "password",
        "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44",
    ),
    (
        "titok123",
        "pbkdf2:sha256:1000$3l7nq5hS"
        "$ee316dfe3830406c728991501fdfdde0f5189df2f31faacfe5931fcef4eb0ab7",
    ),
    ("pleaseletmein", f"scrypt:16384:8:1$SodiumChloride${_SCRYPT_KEY}"),
    (
        "pleaseletmein",
        "scrypt$16384$SodiumChloride$8$1"
        "$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw==",
    ),
]


@pytest.mark.parametrize(
    ("password", "text"), EXAMPLES, ids=[f"{number}" for number in range(len(EXAMPLES))]
)
def test_hash_of_another_system_matches_its_password_alone(password: str, text: str) -> None:
    """Examples that those systems, or their specifications, publish."""
    stored = parse_hash(text)
    assert stored.matches(password.encode())
    assert not stored.matches(f"{password}z".encode())


def test_bcrypt_looks_at_72_bytes_as_it_always_has() -> None:
    """What a longer password was hashed from at the old system still opens the account."""
    stored = parse_hash(bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode())
    assert stored.matches(b"x" * 128)
    assert not stored.matches(b"x" * 71)


@pytest.mark.parametrize(
    "text",
    [
        "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "pbkdf2_sha256$2000001$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0=",
        f"pbkdf2_sha256${'9' * 400}$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0=",
        f"scrypt:1048576:8:1$salt${_SCRYPT_KEY}",
        f"scrypt:16384:8:999$salt${_SCRYPT_KEY}",
        _ARGON2.replace("m=64,t=1", "m=4194304,t=1"),
        _ARGON2.replace("m=64,t=1", "m=65536,t=1000"),
    ],
    ids=[f"{number}" for number in range(8)],
)
def test_hash_that_costs_too_much_is_refused(text: str) -> None:
    """Nobody imports an account at which every guess keeps a core busy for seconds."""
    with pytest.raises(UnknownHashError, match="too much"):
        parse_hash(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "correct horse",
        "88a434c88cca4e900f7874cd98123f43",
        "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3",
        "$1$seasalt$U9qO0fVZ2h3sW5QmC8v1x/",
        "$2b$05$short",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n",
        "pbkdf2_sha256$0$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0=",
        "pbkdf2_sha256$20000$seasalt$oBSd886ysm3AqYun62DOdin8YcfbU1z9cksZSuLP9r0",
        "pbkdf2_sha256$20000$seasalt$AAAA",
        "scrypt:16383:8:1$salt$" + _SCRYPT_KEY,
        "scrypt:16384:8:1$salt$abc",
        "$argon2id$v=19$m=64,t=1,p=1$",
        "!",
        "x" * 100_000,
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_hash_of_a_known_kind_is_refused(text: str) -> None:
    """Weak kinds, damaged ones, and text that is none."""
    with pytest.raises(UnknownHashError):
        parse_hash(text)

"""
The kinds of keys that sign access tokens, and what each is good at.

An RSA signature is checked in a fifth of the time that an Ed25519 signature takes (the edge and
each service check every token once), and made in ten times its time: so logins get RS256, of
which one is made and several are checked. Tokens for load tests come by the ten thousand and are
signed by an Ed25519 key.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.utils import base64url_encode, to_base64url_uint

_EXPONENT = 65537
_BITS = 2048  # good until 2030 (NIST SP 800-57); a key signs for as long as operators let it


@dataclass(frozen=True, slots=True)
class RsaKey:
    """
    RSA of 2048 bits, PKCS #1 v1.5 with SHA-256 (RFC 7518, 3.3).

    Args:
        private: The private half.
    """

    private: RSAPrivateKey
    algorithm: ClassVar[str] = "RS256"

    @classmethod
    def generate(cls) -> Self:
        """A new key; takes 0.1 s."""
        return cls(generate_private_key(_EXPONENT, _BITS))

    @classmethod
    def of_raw(cls, raw: bytes) -> Self:
        """
        The key that raw() gave; ValueError where it is none.

        Whether its numbers are primes (50 ms) is not asked: what is kept is sealed.
        """
        private = load_der_private_key(raw, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(private, RSAPrivateKey):
            raise ValueError("no RSA key")
        return cls(private)

    def raw(self) -> bytes:
        """The private half: PKCS #8, DER."""
        return self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def public_part(self) -> dict[str, str]:
        """What its thumbprint is of, in order (RFC 7638)."""
        numbers = self.private.public_key().public_numbers()
        exponent, modulus = (to_base64url_uint(one).decode() for one in (numbers.e, numbers.n))
        return {"e": exponent, "kty": "RSA", "n": modulus}

    def sign(self, data: bytes) -> bytes:
        """The signature of *data*."""
        return self.private.sign(data, PKCS1v15(), SHA256())


@dataclass(frozen=True, slots=True)
class EdKey:
    """
    Ed25519 (RFC 8037).

    Args:
        private: The private half.
    """

    private: Ed25519PrivateKey
    algorithm: ClassVar[str] = "EdDSA"

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def of_raw(cls, raw: bytes) -> Self:
        """The key that raw() gave; ValueError where it is none."""
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def raw(self) -> bytes:
        """The private half, 32 bytes."""
        return self.private.private_bytes_raw()

    def public_part(self) -> dict[str, str]:
        """What its thumbprint is of, in order (RFC 7638)."""
        point = self.private.public_key().public_bytes_raw()
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url_encode(point).decode()}

    def sign(self, data: bytes) -> bytes:
        """The signature of *data*."""
        return self.private.sign(data)


KeyPair = RsaKey | EdKey
KIND_OF_ALGORITHM: dict[str, type[KeyPair]] = {kind.algorithm: kind for kind in (RsaKey, EdKey)}

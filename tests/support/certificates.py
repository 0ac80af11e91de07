"""A certificate authority for tests, and its certificates as Kubernetes mounts them."""

import ipaddress
import itertools
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_LIFE = timedelta(hours=1)
_versions = itertools.count(1)


class Authority:
    """Signs certificates of this machine."""

    def __init__(self, name: str = "tests") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        extension = x509.BasicConstraints(ca=True, path_length=None)
        self._certificate = (
            _builder(self._name, self._name, self._key.public_key())
            .add_extension(extension, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(Encoding.PEM)

    def issue(self, folder: Path) -> int:
        """
        Put a fresh tls.crt, tls.key, ca.crt into *folder*, all at once; returns its serial number.

        Each name is a link by way of ..data, another link, which is replaced: a mounted secret.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            _builder(_named("this machine"), self._name, key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        content = {
            "tls.crt": certificate.public_bytes(Encoding.PEM),
            "tls.key": secret,
            "ca.crt": self.pem,
        }
        _mount(folder, content)
        return certificate.serial_number


def _mount(folder: Path, content: dict[str, bytes]) -> None:
    version = folder / f"..{next(_versions)}"
    version.mkdir(parents=True)
    for name, text in content.items():
        (version / name).write_bytes(text)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(folder / "..data")
    for name in content:
        if not os.path.lexists(folder / name):
            (folder / name).symlink_to(f"..data/{name}")


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LIFE)
        .not_valid_after(now + _LIFE)
    )

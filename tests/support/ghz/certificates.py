"""Certificates for a server and a client, of an authority that nobody knows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files; *stranger* is an authority that has signed nothing."""

    root: str
    stranger: str
    server: str
    server_key: str
    client: str
    client_key: str

    def server_credentials(self) -> grpc.ServerCredentials:
        """Of a server that lets in whom the root has signed."""
        chain = (Path(self.server_key).read_bytes(), Path(self.server).read_bytes())
        root = Path(self.root).read_bytes()
        return grpc.ssl_server_credentials([chain], root, require_client_auth=True)


def make_certificates(folder: Path) -> Certificates:
    """Make them in *folder*; the server is localhost, 127.0.0.1 and kuji.test."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in _NAMES}
    certificates = {
        name: _certificate(name, keys[name], "stranger" if name == "stranger" else "root", keys)
        for name in _NAMES
    }
    for name in _NAMES:
        (folder / f"{name}.pem").write_bytes(certificates[name].public_bytes(Encoding.PEM))
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(keys[name].private_bytes(*form))
    paths = {name: str(folder / f"{name}.pem") for name in _NAMES}
    return Certificates(
        **paths, server_key=str(folder / "server.key"), client_key=str(folder / "client.key")
    )


_NAMES = ("root", "stranger", "server", "client")


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _certificate(name: str, key: _Key, issuer: str, keys: dict[str, _Key]) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(name == issuer, None), critical=True)
    )
    if name == "server":
        address = x509.IPAddress(ip_address("127.0.0.1"))
        names = [x509.DNSName("localhost"), x509.DNSName("kuji.test"), address]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(keys[issuer], hashes.SHA256())

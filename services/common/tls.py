"""Certificates of this process, read again when their files have changed."""

import threading
from typing import NamedTuple

import grpc
import structlog

from services.common.tls_files import TlsFiles

log = structlog.get_logger()

_UNREADABLE = (OSError, ValueError)


class TlsIdentity(NamedTuple):
    """What the files hold, see TlsFiles."""

    cert: bytes
    key: bytes
    ca: bytes


class Identity:
    """
    What *files* hold, now and later.

    They are looked at whenever it is asked for. What cannot be read, or is a certificate with
    another's key (it is being replaced), is not taken: then the one before goes on.

    Raises:
        RuntimeError: They do not hold an identity at first.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()  # gRPC asks from threads of its own
        self._seen: tuple[object, ...] = ()
        try:
            self._seen = self._look()
            self._current = _read(files)
        except _UNREADABLE as error:
            raise RuntimeError(f"KUJI_TLS_… files hold no certificate: {error}") from error

    def current(self) -> TlsIdentity:
        """The newest one."""
        with self._lock:
            try:
                if (seen := self._look()) != self._seen:
                    self._current, self._seen = _read(self._files), seen
                    log.info("certificate read again", file=str(self._files.cert))
            except _UNREADABLE as error:
                log.warning("certificate not readable", error=repr(error))
            return self._current

    def _look(self) -> tuple[object, ...]:
        stats = [file.stat() for file in self._files]
        return tuple((one.st_dev, one.st_ino, one.st_mtime_ns, one.st_size) for one in stats)


def _read(files: TlsFiles) -> TlsIdentity:
    # They take long to be imported, and most processes have no certificate.
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    found = TlsIdentity(*(file.read_bytes() for file in files))
    own = x509.load_pem_x509_certificates(found.cert)[0].public_key()
    key = load_pem_private_key(found.key, password=None).public_key()
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if own.public_bytes(*form) != key.public_bytes(*form):
        raise ValueError(f"{files.key} is not the key of {files.cert}")
    x509.load_pem_x509_certificates(found.ca)
    return found


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Of a server that takes only callers whose certificate the CA has signed."""
    identity = Identity(files)
    told = identity.current()

    def newest() -> grpc.ServerCertificateConfiguration | None:
        nonlocal told
        current = identity.current()
        if current == told:
            return None
        told = current
        return _configuration(current)

    return grpc.dynamic_ssl_server_credentials(_configuration(told), newest, True)  # type: ignore[arg-type]


def _configuration(identity: TlsIdentity) -> grpc.ServerCertificateConfiguration:
    pairs = [(identity.key, identity.cert)]
    return grpc.ssl_server_certificate_configuration(pairs, root_certificates=identity.ca)


def channel_credentials(identity: TlsIdentity) -> grpc.ChannelCredentials:
    """Of a client that shows *identity*, and believes those whom its CA has signed."""
    return grpc.ssl_channel_credentials(identity.ca, identity.key, identity.cert)

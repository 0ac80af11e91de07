"""Connections to the server under test."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ops.errors import OperatorError
from ops.ghz.config_file import read_file
from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions

_TLS_PORT = 443


def open_channel(options: GhzOptions) -> grpc.aio.Channel:
    """A connection of its own, which is made with the first call."""
    settings = list(_settings(options))
    compression = grpc.Compression.Gzip if options.enable_compression else None
    if options.insecure:
        return grpc.aio.insecure_channel(options.host, settings, compression=compression)
    credentials, name = _credentials(options)
    if name:
        settings.append(("grpc.ssl_target_name_override", name))
    return grpc.aio.secure_channel(options.host, credentials, settings, compression=compression)


def _settings(options: GhzOptions) -> Iterator[tuple[str, str | int]]:
    yield "grpc.use_local_subchannel_pool", 1
    # As ghz has it: a limit on one direction leaves the other at gRPC's own.
    is_limited = options.max_recv_message_size or options.max_send_message_size
    receive = options.max_recv_message_size or (4 * 1024 * 1024 if is_limited else -1)
    yield "grpc.max_receive_message_length", receive
    yield "grpc.max_send_message_length", options.max_send_message_size or -1
    if options.connect_timeout:
        yield "grpc.min_reconnect_backoff_ms", max(100, options.connect_timeout // 1_000_000)
    if options.keepalive:
        yield "grpc.keepalive_time_ms", max(1, options.keepalive // 1_000_000)
        yield "grpc.keepalive_timeout_ms", max(1, options.keepalive // 1_000_000)
        yield "grpc.http2.max_pings_without_data", 0
    if options.authority:
        yield "grpc.default_authority", options.authority
    if options.lb_strategy:
        policy = f'{{"loadBalancingConfig": [{{"{options.lb_strategy}": {{}}}}]}}'
        yield "grpc.service_config", policy


def _credentials(options: GhzOptions) -> tuple[grpc.ChannelCredentials, str]:
    """The credentials, and the name that the server's certificate is held against, if given."""
    key = read_file(Path(options.key), "key") if options.key else None
    chain = read_file(Path(options.cert), "cert") if options.cert else None
    name = options.cname
    if options.skip_tls:
        certificate = _shown_certificate(options)
        roots: bytes | None = certificate.public_bytes(Encoding.PEM)
        name = name_in(certificate)
    else:
        roots = _roots(options)
    return grpc.ssl_channel_credentials(roots, key, chain), name


def _roots(options: GhzOptions) -> bytes | None:
    """The given ones, or the machine's; None: those that come with gRPC."""
    if options.cacert:
        return read_file(Path(options.cacert), "cacert")
    path = ssl.get_default_verify_paths().cafile
    return Path(path).read_bytes() if path else None


def _shown_certificate(options: GhzOptions) -> x509.Certificate:
    """
    The certificate that the server shows, whatever it is.

    gRPC for Python always checks a certificate; so with skipTLS it is held against itself.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    host, port = _address_of(options.host)
    timeout_s = (options.connect_timeout or 10 * NS_PER_S) / NS_PER_S
    with _failures_told(options.host):
        plain = socket.create_connection((host, port), timeout_s)
        with context.wrap_socket(plain, server_hostname=options.cname or host) as secure:
            shown = secure.getpeercert(binary_form=True)
        if shown is None:
            raise OperatorError(f"{options.host} shows no certificate")
        return x509.load_der_x509_certificate(shown)


@contextmanager
def _failures_told(host: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise OperatorError(f"skipTLS: no certificate of {host}: {error}") from None


def name_in(certificate: x509.Certificate) -> str:
    """A name that the certificate is good for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ]
    except x509.ExtensionNotFound:
        found = []
    subject = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    found += [str(each.value) for each in subject]
    if not found:
        raise OperatorError("skipTLS: the server's certificate has no name")
    return found[0].replace("*", "any")


def _address_of(target: str) -> tuple[str, int]:
    address = target.rpartition("/")[2]
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return address.strip("[]"), _TLS_PORT
    return host.strip("[]"), int(port)

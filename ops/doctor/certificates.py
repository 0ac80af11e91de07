"""Certificates: of the files that this process is told of, and what the edge shows."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, unknown, warning, well, wrong
from ops.doctor.web import ANSWER_S, any_certificate

_SOON = timedelta(days=14)
_PAIRS = {
    "KUJI_TLS_CERT_FILE": "KUJI_TLS_KEY_FILE",
    "KUJI_EDGE_TLS_CERT_FILE": "KUJI_EDGE_TLS_KEY_FILE",
}
_RENEW = "renew it, and write the new one over its files: they are read again without a restart"


async def files(patient: Patient) -> list[Symptom]:
    """Certificates in files are valid, and their keys are theirs."""
    named = {name: patient.environment.get(name) for name in (*_PAIRS, "KUJI_TLS_CA_FILE")}
    return [
        symptom
        for name, file in named.items()
        if file
        for symptom in _file(name, Path(file), patient.environment.get(_PAIRS.get(name, "")))
    ]


def _file(name: str, file: Path, key_file: str | None) -> list[Symptom]:
    try:
        certificates = x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        return [_unreadable(name, f"{file} cannot be read: {error.strerror}")]
    except ValueError:
        return [_unreadable(name, f"{file} holds no certificate in PEM form")]
    found = [judge(f"{name} ({one.subject.rfc4514_string()})", one) for one in certificates]
    if key_file and not _fits(certificates[0], Path(key_file)):
        why = "who uses them cannot be spoken to by TLS"
        step = "write certificate and key anew, together"
        found.append(wrong(f"{key_file} is not the key of {file}, or cannot be read", why, step))
    return found


def _unreadable(name: str, sentence: str) -> Symptom:
    why = "who is told of it does not start, or goes on with the one before until that expires"
    return wrong(sentence, why, f"let {name} name the certificate")


def _fits(certificate: x509.Certificate, key_file: Path) -> bool:
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError):
        return False
    forms = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ours = key.public_key().public_bytes(*forms)
    return ours == certificate.public_key().public_bytes(*forms)


async def shown(patient: Patient) -> list[Symptom]:
    """The certificate that the edge shows is valid."""
    url = urlsplit(patient.edge_url or "")
    if url.scheme != "https":
        return []
    try:
        async with asyncio.timeout(ANSWER_S):
            _, writer = await asyncio.open_connection(
                url.hostname, url.port or 443, ssl=any_certificate()
            )
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    except OSError as error:
        return [unknown(f"the edge shows none: {error or type(error).__name__}")]
    return [judge("the edge's certificate", x509.load_der_x509_certificate(certificate))]


def judge(whose: str, certificate: x509.Certificate) -> Symptom:
    """Whether a certificate is valid, and for long enough."""
    now, until = datetime.now(UTC), certificate.not_valid_after_utc
    if until < now:
        sentence = f"{whose} has expired on {until:%Y-%m-%d}"
        return wrong(sentence, "clients refuse to speak to who shows it", _RENEW)
    if certificate.not_valid_before_utc > now:
        sentence = f"{whose} is not valid before {certificate.not_valid_before_utc:%F %R} UTC"
        step = "look at this machine's clock, or use the one before"
        return wrong(sentence, "clients refuse to speak to who shows it", step)
    if until - now < _SOON:
        sentence = f"{whose} expires on {until:%Y-%m-%d}"
        return warning(sentence, "after that, clients refuse to speak to who shows it", _RENEW)
    return well(f"{whose} is valid until {until:%Y-%m-%d}")

"""Secrets under a passphrase: AES-256-GCM with a key that Scrypt makes of it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ops.errors import OperatorError

_SALT_BYTES, _NONCE_BYTES = 16, 12
_COST = 1 << 16  # 64 MiB and a fraction of a second for each guess
_SHORTEST = 12
_PURPOSE = b"kuji secrets"


def passphrase_in(file: Path) -> str:
    """
    The first line of *file*.

    Raises:
        OperatorError: It cannot be read, or is too short to keep anybody out.
    """
    try:
        phrase = file.read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file}, for the passphrase, cannot be read: {error}") from error
    if len(phrase) < _SHORTEST:
        raise OperatorError(f"The passphrase in {file} has fewer than {_SHORTEST} characters")
    return phrase


def seal(secrets: Mapping[str, str], phrase: str) -> bytes:
    """*secrets*, to be opened with *phrase* alone."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    text = json.dumps(dict(secrets)).encode()
    return salt + nonce + _cipher(phrase, salt).encrypt(nonce, text, _PURPOSE)


def unseal(content: bytes, phrase: str) -> dict[str, str]:
    """
    The secrets again.

    Raises:
        OperatorError: The passphrase is another one.
    """
    salt, nonce = content[:_SALT_BYTES], content[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    try:
        text = _cipher(phrase, salt).decrypt(nonce, content[len(salt + nonce) :], _PURPOSE)
    except (InvalidTag, ValueError) as error:
        raise OperatorError("The passphrase does not open the secrets of this backup") from error
    found: dict[str, str] = json.loads(text)
    return found


def _cipher(phrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt=salt, length=32, n=_COST, r=8, p=1).derive(phrase.encode()))

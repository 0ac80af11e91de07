"""What commands need of the auth service: its settings, and the keys that sign tokens."""

import os
from datetime import timedelta

import asyncpg

from ops.connections import OpsSettings
from ops.errors import OperatorError
from services.auth.for_operators import (
    Argon2Cost,
    AuthSettings,
    KeyCipher,
    KeyRing,
    KeyStore,
    KeyUnreadableError,
)
from stack.home import Home

_SECRET = "KUJI_TOKEN_KEY_SECRET"  # noqa: S105  # its name


def auth_setting(name: str) -> float:
    """A setting of the auth service: the environment's, or its default."""
    given = os.environ.get(f"KUJI_{name.upper()}")
    try:
        return float(given or AuthSettings.model_fields[name].default)
    except ValueError as error:
        raise OperatorError(f"KUJI_{name.upper()} is not a number") from error


def argon2_cost() -> Argon2Cost:
    """What the auth service's hashes cost."""
    names = ("argon2_memory_kib", "argon2_passes", "argon2_lanes")
    return Argon2Cost(*(int(auth_setting(name)) for name in names))


def key_cipher(settings: OpsSettings) -> KeyCipher:
    """What opens the signing keys; OperatorError where its secret is not known or no secret."""
    text = os.environ.get(_SECRET) or _stack_secret(settings)
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise OperatorError(f"{_SECRET} must be 64 hex digits")
    return KeyCipher(secret)


async def open_ring(postgres: asyncpg.Pool, settings: OpsSettings) -> KeyRing:
    """
    The signing keys, as an auth process has them.

    Raises:
        OperatorError: The secret is not known, or does not open them.
    """
    grace = timedelta(seconds=auth_setting("key_grace_s"))
    ring = KeyRing(KeyStore(postgres), key_cipher(settings), grace)
    try:
        await ring.load()
    except KeyUnreadableError as error:
        raise OperatorError(str(error)) from error
    return ring


def _stack_secret(settings: OpsSettings) -> str:
    home = Home(settings.home)
    if settings.postgres_dsn or not home.secrets_file.exists():
        raise OperatorError(f"{_SECRET} is not set")
    return home.secrets()[_SECRET]

"""kuji keys: the keys that sign access tokens."""

import asyncio
import os
from datetime import timedelta

import typer

from ops.connections import OpsSettings, open_database, postgres_address
from ops.errors import OperatorError
from ops.terminal import out
from services.auth.for_operators import (
    AuthSettings,
    KeyCipher,
    KeyRing,
    KeyStore,
    KeyUnreadableError,
    rotate_signing_key,
)
from services.common.settings import read_settings
from stack.home import Home

_SECRET = "KUJI_TOKEN_KEY_SECRET"  # noqa: S105  # its name

app = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)


@app.callback()
def _keys() -> None:
    """Keeps `rotate` a command of its own while it is the only one."""


@app.command()
def rotate() -> None:
    """
    Publish a new signing key. It signs after a grace period; the keys before it stay valid until
    the last token that they signed has expired. Nothing needs a restart.
    """
    kid, grace_s = asyncio.run(_rotate(read_settings(OpsSettings)))
    out.print(f"[green]✓[/] published {kid}; it signs from {grace_s:g} s from now on")


async def _rotate(settings: OpsSettings) -> tuple[str, float]:
    cipher = KeyCipher(_secret(settings))
    grace_s = _auth_setting("key_grace_s")
    token_ttl_s = max(_auth_setting("access_token_ttl_s"), _auth_setting("service_token_ttl_s"))
    async with open_database(postgres_address(settings)) as postgres:
        store = KeyStore(postgres)
        await _check_secret(store, cipher)
        return await rotate_signing_key(store, cipher, grace_s, token_ttl_s), grace_s


async def _check_secret(store: KeyStore, cipher: KeyCipher) -> None:
    # A key sealed with another secret would keep every auth process from reading its keys.
    try:
        await KeyRing(store, cipher, timedelta()).load()
    except KeyUnreadableError as error:
        raise OperatorError(str(error)) from error


def _secret(settings: OpsSettings) -> bytes:
    text = os.environ.get(_SECRET) or _stack_secret(settings)
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != 32:
        raise OperatorError(f"{_SECRET} must be 64 hex digits")
    return secret


def _stack_secret(settings: OpsSettings) -> str:
    home = Home(settings.home)
    if settings.postgres_dsn or not home.secrets_file.exists():
        raise OperatorError(f"{_SECRET} is not set")
    return home.secrets()[_SECRET]


def _auth_setting(name: str) -> float:
    """A setting of the auth service: the environment's, or its default."""
    given = os.environ.get(f"KUJI_{name.upper()}")
    try:
        return float(given or AuthSettings.model_fields[name].default)
    except ValueError as error:
        raise OperatorError(f"KUJI_{name.upper()} is not a number") from error

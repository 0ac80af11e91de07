"""kuji keys: the keys that sign access tokens."""

import asyncio

import typer

from ops.auth import auth_setting, key_cipher, open_ring
from ops.connections import OpsSettings, open_database, postgres_address
from ops.terminal import out
from services.auth.for_operators import KeyStore, rotate_signing_key
from services.common.settings import read_settings

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
    grace_s = auth_setting("key_grace_s")
    token_ttl_s = max(auth_setting("access_token_ttl_s"), auth_setting("service_token_ttl_s"))
    cipher = key_cipher(settings)
    async with open_database(postgres_address(settings)) as postgres:
        # A key sealed with another secret would keep every auth process from reading its keys.
        await open_ring(postgres, settings)
        kid = await rotate_signing_key(KeyStore(postgres), cipher, grace_s, token_ttl_s)
    return kid, grace_s

"""kuji backup: a copy of all that Postgres has, or the verification of one."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress

from ops.backup.maker import make
from ops.backup.manifest import Manifest, check_files, read_manifest
from ops.backup.sealed import passphrase_in
from ops.connections import OpsSettings, open_database, postgres_address
from ops.errors import OperatorError
from ops.terminal import counted, out, progress
from services.common.settings import read_settings
from stack.home import SECRET_NAMES, Home, write_json


def backup(
    folder: Annotated[Path, typer.Argument(help="Where to; not there yet, or empty.")],
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none: say whether the one there is whole.")
    ] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(help="Put the secrets into the backup, under the passphrase in this file."),
    ] = None,
    secrets_to: Annotated[
        Path | None, typer.Option(help="Copy the secrets into this file, in another place.")
    ] = None,
) -> None:
    """
    Back Postgres up, while all runs: accounts, activities, and every recorded draw. Redis is not
    in it: only its newest state is of use, see docs/operations.md. A backup that was broken off
    leaves nothing that could be taken for one.

    The secrets are not in it unless --passphrase-file is given, which encrypts them; --secrets-to
    copies them elsewhere. Without them, seeds and signing keys cannot be read.

    Exit code 0: the backup is whole; 2: there is none, or it is not.
    """
    try:
        if verify:
            _verify(folder)
        else:
            _make(read_settings(OpsSettings), folder, passphrase_file, secrets_to)
    except OSError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}") from error


def _verify(folder: Path) -> None:
    manifest = read_manifest(folder)
    with progress() as bars:
        total = sum(file.bytes for file in manifest.files.values())
        task = bars.add_task("verifying", total=total, note="")
        check_files(folder, manifest, lambda size: bars.advance(task, size))
    out.print(f"[green]✓[/] {escape(str(folder))} is whole: {_told(manifest)}", soft_wrap=True)


def _make(
    settings: OpsSettings, folder: Path, passphrase_file: Path | None, secrets_to: Path | None
) -> None:
    secrets = known_secrets(settings)
    phrase = passphrase_in(passphrase_file) if passphrase_file else None
    if (phrase or secrets_to) and not secrets:
        raise OperatorError("No secrets are known here: set KUJI_HOME, or KUJI_SEED_KEY and others")
    if secrets_to:
        _copy_secrets(secrets, secrets_to, folder)
    with progress() as bars:
        manifest = asyncio.run(_back_up(settings, folder, secrets, phrase, bars))
    out.print(f"[green]✓[/] {escape(str(folder))}: {_told(manifest)}", soft_wrap=True)
    if phrase:
        out.print("  The secrets are in it; without the passphrase, nobody can read them.")
    elif not secrets_to:
        out.print("  The secrets are not in it: keep a copy of them in another place.")


def known_secrets(settings: OpsSettings) -> dict[str, str]:
    """Those of the stack in KUJI_HOME, if its database is meant; the environment's go first."""
    home = Home(settings.home)
    stored = home.secrets() if home.secrets_file.exists() and not settings.postgres_dsn else {}
    return stored | {name: os.environ[name] for name in SECRET_NAMES if os.environ.get(name)}


def _copy_secrets(secrets: Mapping[str, str], file: Path, folder: Path) -> None:
    if folder.resolve() in file.resolve().parents:
        raise OperatorError(
            "Both together open the seeds of running activities: let --secrets-to name a file "
            "outside of the backup, best on another machine"
        )
    write_json(file, secrets)


async def _back_up(
    settings: OpsSettings,
    folder: Path,
    secrets: Mapping[str, str],
    phrase: str | None,
    bars: Progress,
) -> Manifest:
    task = bars.add_task("backing up", total=None, note="")

    def show(done: int, total: int, table: str) -> None:
        bars.update(task, completed=done, total=max(total, 1), note=table)

    dsn = postgres_address(settings)
    async with open_database(dsn) as postgres:
        return await make(postgres, dsn, folder, secrets, phrase, show)


def _told(manifest: Manifest) -> str:
    size = sum(file.bytes for file in manifest.files.values()) / 2**20
    return (
        f"{counted(manifest.records, 'draw')} of {counted(len(manifest.pools), 'pool')}, "
        f"{counted(manifest.users, 'user')}, {size:,.1f} MiB, "
        f"as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    )

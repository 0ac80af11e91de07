"""kuji restore: a backup in the place of what the database has."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.markup import escape

from ops.backup.aftermath import Fate, fates
from ops.backup.manifest import SEALED_SECRETS, Manifest, check_files, fingerprints, read_manifest
from ops.backup.restorer import check_target, connected, restore
from ops.backup.sealed import passphrase_in, unseal
from ops.commands.backup import known_secrets
from ops.connections import OpsSettings, open_redis
from ops.errors import OperatorError
from ops.terminal import counted, err, out, progress
from services.common.settings import read_settings
from services.pool.marks.files import MarkFolder
from services.pool.marks.mark import Mark
from stack.alone import stores_alone
from stack.credentials import OPERATOR
from stack.home import Home, write_json
from stack.processes import StackError, command
from stack.settings import StackSettings

_SHOWN = 20
_NEEDED = ("KUJI_SEED_KEY", "KUJI_TOKEN_KEY_SECRET")


class _Stores(NamedTuple):
    """Where they are; *redis* None: that is not known."""

    postgres: str
    redis: str | None


def restore_backup(
    folder: Annotated[Path, typer.Argument(help="The backup.")],
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Though the database holds data, which is then gone."),
    ] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Opens the secrets of the backup, where KUJI_HOME has none.")
    ] = None,
    other_secrets: Annotated[
        bool,
        typer.Option("--other-secrets", help="Though seeds and keys cannot be read with these."),
    ] = False,
) -> None:
    """
    Put a backup in the place of what the database has, in one transaction; then say what came
    after it, pool by pool, and what to do next. No service may run: the stack in KUJI_HOME has to
    be stopped, its stores are started and stopped by this command; with KUJI_POSTGRES_DSN, stop
    your services.

    Exit code 0: it is back; 2: nothing has changed.
    """
    settings = read_settings(OpsSettings)
    manifest = read_manifest(folder)
    try:
        _check_whole(folder, manifest)
        _install_secrets(settings, folder, manifest, passphrase_file)
        _check_secrets(settings, manifest, other_secrets)
        found = asyncio.run(_restore(settings, folder, manifest, overwrite))
    except StackError as error:
        raise OperatorError(str(error)) from error
    except OSError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}") from error
    _report(settings, manifest, found)


def _check_whole(folder: Path, manifest: Manifest) -> None:
    with progress() as bars:
        total = sum(file.bytes for file in manifest.files.values())
        task = bars.add_task("verifying", total=total, note="")
        check_files(folder, manifest, lambda size: bars.advance(task, size))


def _install_secrets(
    settings: OpsSettings, folder: Path, manifest: Manifest, passphrase_file: Path | None
) -> None:
    """Into a home that has none, from the backup."""
    home = Home(settings.home)
    if settings.postgres_dsn or home.secrets_file.exists():
        return
    if passphrase_file is None or SEALED_SECRETS not in manifest.files:
        raise OperatorError(
            f"{home.secrets_file} is not there: put your copy of it there first"
            + ("; or name --passphrase-file" if SEALED_SECRETS in manifest.files else "")
        )
    sealed = (folder / SEALED_SECRETS).read_bytes()
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(home.secrets_file, unseal(sealed, passphrase_in(passphrase_file)))


def _check_secrets(settings: OpsSettings, manifest: Manifest, is_forced: bool) -> None:
    known = fingerprints(known_secrets(settings))
    others = [name for name in _NEEDED if known.get(name, "") != manifest.secrets.get(name, "")]
    others = [name for name in others if name in known and name in manifest.secrets]
    if others and not is_forced:
        raise OperatorError(
            f"{' and '.join(others)} is not what this backup was made with: seeds and keys in it "
            "could not be read. Put the right secrets back; if they are lost, --other-secrets"
        )


async def _restore(
    settings: OpsSettings, folder: Path, manifest: Manifest, is_overwriting: bool
) -> list[Fate]:
    marks = _marks(settings)
    async with _stores(settings) as stores, connected(stores.postgres) as connection:
        await check_target(connection, manifest, is_overwriting)
        with progress() as bars:
            task = bars.add_task("restoring", total=None, note="")

            def show(done: int, total: int, table: str) -> None:
                bars.update(task, completed=done, total=max(total, 1), note=table)

            await restore(connection, stores.postgres, folder, manifest, marks, show)
            show(1, 1, "")
        if stores.redis is None:
            return await fates(connection, None, marks)
        async with open_redis(stores.redis) as redis:
            return await fates(connection, redis, marks)


@asynccontextmanager
async def _stores(settings: OpsSettings) -> AsyncIterator[_Stores]:
    """The stores, and no service: of one's own, or of a stack that is stopped."""
    if settings.postgres_dsn:
        yield _Stores(settings.postgres_dsn, settings.redis_url)
        return
    async with stores_alone(
        read_settings(StackSettings), lambda line: err.print(line)
    ) as addresses:
        yield _Stores(addresses.postgres[OPERATOR], addresses.redis[OPERATOR])


def _marks(settings: OpsSettings) -> Mapping[int, Mark]:
    folder = Home(settings.home).data("marks")
    if settings.postgres_dsn or not folder.exists():
        return {}
    return MarkFolder(folder).read()


def _report(settings: OpsSettings, manifest: Manifest, found: Sequence[Fate]) -> None:
    moment = f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC"
    pools, draws = counted(len(manifest.pools), "pool"), counted(manifest.records, "draw")
    out.print(f"[green]✓[/] restored, as of {moment}: {draws} of {pools}", soft_wrap=True)
    told = [one for one in found if one.sentence]
    for one in told[:_SHOWN]:
        sign = "[yellow]![/]" if one.is_lost else "[green]✓[/]"
        out.print(f"{sign} pool {one.pool_id}: {escape(one.sentence)}", soft_wrap=True)
    if len(told) > _SHOWN:
        out.print(f"[yellow]![/] and {len(told) - _SHOWN} more pools", soft_wrap=True)
    if any(one.is_to_rebuild and not one.is_lost for one in found):
        out.print(
            f"[yellow]![/] of other pools nothing is known after {moment}: what was drawn there "
            "later is lost, and its units can be won again",
            soft_wrap=True,
        )
    out.print(
        f"[yellow]![/] accounts, activities, cards, blocks and notes made after {moment} are gone",
        soft_wrap=True,
    )
    out.print(f"Next: {'; '.join(_next(settings, found))}", soft_wrap=True)


def _next(settings: OpsSettings, found: Sequence[Fate]) -> list[str]:
    first = "start your services" if settings.postgres_dsn else command("up")
    rebuild = ["kuji rebuild"] if any(one.is_to_rebuild for one in found) else []
    return [first, *rebuild, "kuji reconcile", "kuji doctor"]

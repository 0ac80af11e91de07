"""The `kuji` command: a registry of command modules."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from ops.commands import (
    admins,
    backup,
    doctor,
    edge_config,
    export_ledger,
    ghz,
    health,
    keys,
    migrate,
    rebuild,
    reconcile,
    release,
    restore,
    secrets,
    smoke,
    stack,
    users,
    verify,
)
from ops.errors import OperatorError
from ops.terminal import complain, out

app = typer.Typer(
    name="kuji",
    help="Operate a Kuji stack: the one in KUJI_HOME, or the stores that KUJI_POSTGRES_DSN and "
    "KUJI_REDIS_URL name.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for target in (stack.run, stack.up, stack.down, stack.status):
    app.command()(target)
app.command("migrate")(migrate.migrate_database)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("restore")(restore.restore_backup)
app.command("reconcile")(reconcile.reconcile)
app.command("rebuild")(rebuild.rebuild)
app.command("release")(release.release)
app.command("smoke")(smoke.smoke)
app.command("verify")(verify.verify)
app.command("edge-config")(edge_config.edge_config)
app.command("secrets")(secrets.secrets)
app.command("export-ledger")(export_ledger.export_ledger)
app.command("health")(health.health)
app.command("ghz", context_settings=ghz.SETTINGS)(ghz.ghz)
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(admins.app, name="admins")


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"kuji {version('kuji-platform')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_print_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; what an operator has to put right is one sentence and exit code 2."""
    try:
        app()
    except OperatorError as error:
        complain(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()

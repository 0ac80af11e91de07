"""The `kuji` command: a registry of command modules, each imported when it is asked for."""

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from ops.errors import OperatorError
from ops.terminal import complain, out

# Each with its module in ops.commands, and what that calls it: a function, or commands of its own.
COMMANDS = {
    "run": "stack.run",
    "up": "stack.up",
    "down": "stack.down",
    "status": "stack.status",
    "migrate": "migrate.migrate_database",
    "doctor": "doctor.doctor",
    "backup": "backup.backup",
    "restore": "restore.restore_backup",
    "reconcile": "reconcile.reconcile",
    "rebuild": "rebuild.rebuild",
    "release": "release.release",
    "smoke": "smoke.smoke",
    "verify": "verify.verify",
    "edge-config": "edge_config.edge_config",
    "secrets": "secrets.secrets",
    "export-ledger": "export_ledger.export_ledger",
    "health": "health.health",
    "ghz": "ghz.ghz",
    "keys": "keys.app",
    "users": "users.app",
    "admins": "admins.app",
}


@cache
def command(name: str) -> Any:  # noqa: ANN401  # a class of click's, which typer keeps to itself
    """The command *name*, imported."""
    module_name, _, target = COMMANDS[name].partition(".")
    module = import_module(f"ops.commands.{module_name}")
    found = getattr(module, target)
    holder = typer.Typer(add_completion=False, callback=lambda: None)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name, context_settings=getattr(module, "SETTINGS", None))(found)
    return cast(TyperGroup, typer.main.get_command(holder)).commands[name]


class _Commands(TyperGroup):
    """Imports a command when it is asked for: all of them together take more than a second."""

    def list_commands(self, _ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(COMMANDS)

    def get_command(  # type: ignore[override]
        self, _ctx: typer.Context, cmd_name: str
    ) -> Any:  # noqa: ANN401  # as above
        return command(cmd_name) if cmd_name in COMMANDS else None


app = typer.Typer(
    name="kuji",
    cls=_Commands,
    help="Operate a Kuji stack: the one in KUJI_HOME, or the stores that KUJI_POSTGRES_DSN and "
    "KUJI_REDIS_URL name.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


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

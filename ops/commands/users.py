"""kuji users: accounts."""

from typing import Annotated

import typer
from rich.markup import escape

from ops.accounts import administer
from ops.terminal import out

app = typer.Typer(help="Accounts.", no_args_is_help=True)
Username = Annotated[str, typer.Argument(help="Name of the user, in any case.")]


@app.command()
def deactivate(username: Username) -> None:
    """
    Deactivate an account, at once and everywhere: it cannot log in, and all its logins and access
    tokens end. What it has won stays. Noted in the audit log.
    """
    changed = administer(lambda accounts: accounts.set_active(username, active=False))
    out.print(f"[green]✓[/] {escape(username)} is deactivated{'' if changed else ' already'}")


@app.command()
def activate(username: Username) -> None:
    """Let a deactivated account log in again. Noted in the audit log."""
    changed = administer(lambda accounts: accounts.set_active(username, active=True))
    out.print(f"[green]✓[/] {escape(username)} is active{'' if changed else ' already'}")

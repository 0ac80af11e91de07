"""kuji admins: who has the admin role."""

from typing import Annotated

import typer
from rich.markup import escape

from ops.accounts import administer
from ops.terminal import out
from services.common.context import Role

app = typer.Typer(help="Who has the admin role.", no_args_is_help=True)
Username = Annotated[str, typer.Argument(help="Name of the user, in any case.")]


@app.command("list")
def list_() -> None:
    """Print every administrator."""
    for account in administer(lambda accounts: accounts.administrators()):
        since = account.deactivated_at
        note = f"  deactivated {since:%Y-%m-%d %H:%M}" if since else ""
        out.print(f"{account.user_id:>10}  {escape(account.username)}{note}")


@app.command()
def grant(username: Username) -> None:
    """
    Give a user the admin role. All its logins end: the role comes with the next one. Noted in
    the audit log.
    """
    changed = administer(lambda accounts: accounts.set_role(username, Role.ADMIN))
    now = "is an administrator from the next login on" if changed else "is an administrator already"
    out.print(f"[green]✓[/] {escape(username)} {now}")


@app.command()
def revoke(username: Username) -> None:
    """
    Take the admin role from a user, at once and everywhere: all its logins and access tokens
    end. Noted in the audit log.

    The administrator that the auth service is configured with gets the role back when that
    service starts.
    """
    changed = administer(lambda accounts: accounts.set_role(username, Role.USER))
    now = "is no administrator any more" if changed else "is no administrator"
    out.print(f"[green]✓[/] {escape(username)} {now}")

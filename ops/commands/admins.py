"""kuji admins: who may see and run the administration."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape

from ops.accounts import administer
from ops.terminal import out
from services.common.context import Role


class Given(StrEnum):
    """A role that can be given."""

    VIEWER = Role.VIEWER.value
    OPERATOR = Role.OPERATOR.value
    ADMIN = Role.ADMIN.value


app = typer.Typer(help="Who may see and run the administration.", no_args_is_help=True)
Username = Annotated[str, typer.Argument(help="Name of the user, in any case.")]
Given_ = Annotated[
    Given,
    typer.Option(
        "--role",
        help="viewer reads everything; operator also runs campaigns; admin does everything.",
    ),
]


@app.command("list")
def list_() -> None:
    """Print everybody who has a role, and which."""
    for account in administer(lambda accounts: accounts.staff()):
        since = account.deactivated_at
        note = f"  deactivated {since:%Y-%m-%d %H:%M}" if since else ""
        out.print(f"{account.user_id:>10}  {escape(account.username)}  {account.role}{note}")


@app.command()
def grant(username: Username, role: Given_ = Given.ADMIN) -> None:
    """
    Give a user a role, in place of another one. All its logins end: the role comes with the next
    one. Noted in the audit log.
    """
    changed = administer(lambda accounts: accounts.set_role(username, Role(role)))
    now = f"has the role {role} from the next login on" if changed else f"has the role {role}"
    out.print(f"[green]✓[/] {escape(username)} {now}")


@app.command()
def revoke(username: Username) -> None:
    """
    Take the role from a user, at once and everywhere: all its logins and access tokens end. Noted
    in the audit log.

    The administrator that the auth service is configured with gets the role back when that
    service starts.
    """
    changed = administer(lambda accounts: accounts.set_role(username, Role.USER))
    now = "has no role any more" if changed else "has no role"
    out.print(f"[green]✓[/] {escape(username)} {now}")

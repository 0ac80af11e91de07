"""kuji users: accounts."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ops import bulk
from ops.accounts import administer
from ops.development import SWITCH
from ops.terminal import counted, out

app = typer.Typer(help="Accounts.", no_args_is_help=True)
Username = Annotated[str, typer.Argument(help="Name of the user, in any case.")]
Prefix = Annotated[str, typer.Option(help="What the names of test accounts begin with.")]
Insist = Annotated[bool, typer.Option(SWITCH, help="Do it outside development too.")]


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


@app.command()
def create(
    count: Annotated[int, typer.Option(help="How many there are to be.", min=1, max=10**9)],
    prefix: Prefix = "load_",
    password: Annotated[str, typer.Option(help="Of all of them.")] = "",
    insist: Insist = False,
) -> None:
    """
    Make test accounts, PREFIX1, PREFIX2, …, that share one password. What exists is not made
    again: broken off, the same command goes on.

    Refused outside development unless the switch is given, and then a password is needed.
    """
    made = bulk.create(count, prefix, password, insist)
    out.print(
        f"[green]✓[/] {counted(count, 'account')} {escape(prefix)}1 … {escape(prefix)}{count}, "
        f"{made.fresh} of them new; password: {escape(made.password)}"
    )
    if made.taken:
        out.print(f"  {counted(made.taken, 'name')} belonged to somebody else, and still does")


@app.command()
def tokens(
    count: Annotated[int, typer.Option(help="How many.", min=1, max=10**9)],
    file: Annotated[Path, typer.Option("--out", help="The file, one token a line.")],
    prefix: Annotated[str, typer.Option(help="Of users whose names begin so.")] = "",
    ttl: Annotated[int, typer.Option(help="Their life in seconds.", min=1, max=86_400)] = 3600,
    as_logins: Annotated[bool, typer.Option("--as-logins", help="Signed as logins sign.")] = False,
    insist: Insist = False,
) -> None:
    """
    Write access tokens of as many users into a file, for load tests. Administrators get none.

    They are signed by an Ed25519 key, which is fast. What a login gives is signed by an RSA key:
    with --as-logins these are too, which costs ten times as much here, and those who check them a
    fifth.

    Refused outside development unless the switch is given: who has the file is all these users.
    """
    bulk.mint(bulk.Minting(count, prefix, ttl, as_logins), file, insist)
    out.print(f"[green]✓[/] {counted(count, 'token')} in {escape(str(file))}, good for {ttl} s")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="username,password_hash,email, with a header.")],
) -> None:
    """
    Take accounts over from a CSV file, with the hashes of their passwords: Argon2, bcrypt, PBKDF2
    and scrypt as Django, passlib and Werkzeug write them. Each is replaced by one of ours when its
    owner logs in. Lines that do not fit are named and left out; accounts that are there already
    stay as they are, so the same file twice changes nothing.

    Exit code 0: every line was taken, 1: some were left out, 2: it could not be done.
    """
    imported = bulk.import_file(file)
    sign = "[red]✗[/]" if imported.bad else "[green]✓[/]"
    out.print(
        f"{sign} {imported.added} added, {imported.known} there already, "
        f"{imported.bad} left out of {counted(imported.lines, 'account')}"
    )
    if imported.bad:
        raise typer.Exit(1)

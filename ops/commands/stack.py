"""kuji run, up, down, status: the whole stack on this machine."""

import typer

from stack.__main__ import main


def run() -> None:
    """Start the whole stack in the foreground."""
    raise typer.Exit(main(["run"]))


def up() -> None:
    """Start the whole stack in the background."""
    raise typer.Exit(main(["up"]))


def down() -> None:
    """Stop what `up` started; data stays."""
    raise typer.Exit(main(["down"]))


def status() -> None:
    """Say what runs, and how it is."""
    raise typer.Exit(main(["status"]))

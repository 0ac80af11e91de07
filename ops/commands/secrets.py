"""kuji secrets: the Secrets of a cluster, for kubectl; or as files, for compose."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ops.cluster_secrets import secret_list
from ops.secret_files import write_secret_files
from ops.terminal import out


def secrets(
    namespace: Annotated[str, typer.Option(help="Where the parts run.")] = "kuji",
    folder: Annotated[
        Path | None, typer.Option(help="Write files for compose.yaml there instead.")
    ] = None,
) -> None:
    """
    Write the Secrets that k8s/overlays/dev needs, each with fresh random values, to be piped into
    `kubectl create -f -`. Nothing is kept: what is lost is lost, and seeds cannot be read without.

    With --folder, files for compose.yaml instead, which are for your eyes only.
    """
    if folder is not None:
        written = write_secret_files(folder)
        out.print(f"[green]✓[/] {len(written)} files in {folder}: keep them", soft_wrap=True)
        return
    typer.echo(json.dumps(secret_list(namespace), indent=2))

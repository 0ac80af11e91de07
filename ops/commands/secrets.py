"""kuji secrets: the Secrets of a cluster, for kubectl."""

import json
from typing import Annotated

import typer

from ops.cluster_secrets import secret_list


def secrets(
    namespace: Annotated[str, typer.Option(help="Where the parts run.")] = "kuji",
) -> None:
    """
    Write the Secrets that k8s/overlays/dev needs, each with fresh random values, to be piped into
    `kubectl create -f -`. Nothing is kept: what is lost is lost, and seeds cannot be read without.
    """
    typer.echo(json.dumps(secret_list(namespace), indent=2))

"""kuji edge-config: Envoy's configuration for a container."""

from pathlib import Path
from typing import Annotated

import typer

from ops.errors import OperatorError
from ops.terminal import out
from services.common.settings import read_settings
from stack.edge.container import write_configuration
from stack.edge.settings import ContainerEdgeSettings

Folder = Annotated[
    Path, typer.Argument(help="Where Envoy finds the files, by the same absolute path.")
]


def edge_config(folder: Folder) -> None:
    """
    Write what Envoy reads into FOLDER: envoy.yaml, and what that refers to. The services'
    addresses, limits and certificates come from KUJI_EDGE_… variables.
    """
    try:
        write_configuration(read_settings(ContainerEdgeSettings), folder.absolute())
    except OSError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}") from error
    written = folder.absolute() / "envoy.yaml"
    out.print(f"[green]✓[/] {written} and what it refers to", soft_wrap=True)

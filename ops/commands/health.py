"""kuji health: how one process is, in its own words."""

from typing import Annotated

import typer

from ops.errors import OperatorError
from ops.terminal import out
from services.common.health_check import NoAnswerError, status_at


def health(
    address: Annotated[str, typer.Argument(help="host:port where it serves health in the clear.")],
    service: Annotated[str, typer.Argument(help="Of which service; empty: the process.")] = "",
) -> None:
    """
    Ask a process for its health, by gRPC; exit code 0 while it is SERVING.
    """
    try:
        status = status_at(address, service)
    except NoAnswerError as error:
        raise OperatorError(str(error)) from error
    out.print(status)
    raise typer.Exit(0 if status == "SERVING" else 1)

"""kuji smoke: plays a small draw on a running installation, and checks what became of it."""

import asyncio
import ssl
from typing import Annotated

import typer

from ops.connections import Login, OpsSettings, read_endpoints
from ops.edge import open_edge
from ops.errors import OperatorError
from ops.smoke.play import SmokeTest
from ops.smoke.transcript import SmokeError, Transcript
from ops.terminal import out
from services.common.settings import read_settings
from stack.home import Home

_CONNECTIONS = 4


def smoke(
    edge: Annotated[
        str,
        typer.Option(help="Address of the edge; else KUJI_EDGE_URL, else that of the stack here."),
    ] = "",
    within: Annotated[float, typer.Option(help="Seconds that all of it may take.")] = 120.0,
) -> None:
    """
    Play a small draw through the edge: an activity and a user of its own, two wins, their history,
    books and proofs. Exit code 1 where something does not hold.

    It may be run at any time, in production too. What stays is an ended activity, a user who is
    logged out, and two wins of "no prize", all of them named as a smoke test.
    """
    settings = read_settings(OpsSettings)
    url, admin = _address(settings, edge)
    if not asyncio.run(_played(url, admin, _trusted(settings, url), within)):
        raise typer.Exit(1)


def _address(settings: OpsSettings, edge: str) -> tuple[str, Login]:
    url = edge or settings.edge_url
    if settings.admin_password is not None:
        password = settings.admin_password.get_secret_value()
        admin = Login(username=settings.admin_username, password=password)
        return url or read_endpoints(settings.home).edge, admin
    if url:
        raise OperatorError("KUJI_ADMIN_PASSWORD is not set: who makes the activity?")
    endpoints = read_endpoints(settings.home)
    return endpoints.edge, endpoints.admin


def _trusted(settings: OpsSettings, url: str) -> ssl.SSLContext | None:
    if settings.edge_ca_file is None:
        is_own = Home(settings.home).endpoints_file.exists()
        endpoints = read_endpoints(settings.home) if is_own else None
        return endpoints.trusted if endpoints is not None and endpoints.edge == url else None
    try:
        return ssl.create_default_context(cafile=settings.edge_ca_file)
    except OSError as error:
        raise OperatorError(f"{settings.edge_ca_file} cannot be read: {error}") from error


async def _played(url: str, admin: Login, trusted: ssl.SSLContext | None, within_s: float) -> bool:
    out.print(f"smoke test of {url}")
    transcript = Transcript(lambda line: out.print(line, markup=False, soft_wrap=True))
    try:
        async with asyncio.timeout(within_s), open_edge(url, _CONNECTIONS, trusted) as edge:
            await SmokeTest(edge, admin, transcript).play()
    except SmokeError:
        out.print("[red]✗[/] the installation does not do what it has to")
        return False
    except TimeoutError:
        out.print(f"[red]✗[/] it was not done within {within_s:g} s")
        return False
    except ValueError as error:
        raise OperatorError(f"{url} is no address of an edge: {error}") from error
    out.print("[green]✓[/] all is well")
    return True

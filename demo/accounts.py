"""Who plays: the administrator, and users registered for the act."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from demo.crowd import for_each
from demo.edge import Edge
from demo.patience import EdgeError, patiently
from ops.connections import Login


@dataclass(frozen=True, slots=True)
class Player:
    """A registered user."""

    user_id: int
    username: str
    token: str


async def log_in(edge: Edge, admin: Login) -> str:
    """An administrator's access token."""
    body = admin.model_dump()
    session = await patiently(lambda: edge.call("POST", "/admin/api/login", body=body))
    token: str = session["access_token"]
    return token


async def register_players(
    edge: Edge, count: int, prefix: str, on_registered: Callable[[], None]
) -> list[Player]:
    """*count* new users."""

    async def register(number: int) -> Player:
        player = await _register(edge, f"{prefix}-{number}")
        on_registered()
        return player

    return await for_each(range(1, count + 1), register)


async def _register(edge: Edge, username: str) -> Player:
    credentials = {"username": username, "password": secrets.token_urlsafe(12)}

    async def attempt() -> Player:
        try:
            session = await edge.call("POST", "/api/auth/register", body=credentials)
        except EdgeError as error:
            if error.reason != "USERNAME_TAKEN":
                raise
            # An earlier attempt did it, and its answer was lost.
            session = await edge.call("POST", "/api/auth/login", body=credentials)
        return Player(int(session["user_id"]), username, session["access_token"])

    return await patiently(attempt)

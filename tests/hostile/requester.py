"""HTTP requests at random for each route, and what the edge told."""

import json
import random
from typing import Any
from urllib.parse import quote

import httpx
from google.protobuf import json_format

from stack.edge.contract import Route, routes
from tests.hostile.target import Target
from tests.support.strangers import Stranger

# They would end what the others come with.
ENDS_THE_SESSION = {"Logout", "LogoutAll", "ChangePassword", "RevokeSession"}
ROUTES = [
    route
    for route in routes()
    if route.verb != "HEAD"
    and route.rpc.name not in ENDS_THE_SESSION
    and not route.rpc.server_streaming
]


class Requester:
    """
    Makes HTTP requests of a route at random.

    Args:
        seed: The same one makes the same requests.
    """

    def __init__(self, route: Route, target: Target, seed: int) -> None:
        self._random = random.Random(seed)
        self._route = route
        self._strangers = [Stranger(seed, target.known, is_wild=wild) for wild in (False, True)]

    def request(self) -> dict[str, Any]:
        """Its path, query and body."""
        message = self._random.choice(self._strangers).message(self._route.message)
        try:
            fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
        except (ValueError, json_format.Error):  # a time beyond its bounds
            fields = {}
        path = self._route.template
        for name in self._route.variables:
            path = path.replace(f"{{{name}}}", quote(str(fields.pop(name, "x")), safe="") or "-")
        if self._route.takes_body:
            return {"url": path, "content": self._spoilt(json.dumps(fields).encode())}
        query = {name: value for name, value in fields.items() if not isinstance(value, dict)}
        return {"url": path, "params": query}

    def _spoilt(self, body: bytes) -> bytes:
        """Now and then no JSON any more."""
        if self._random.random() < 0.8:
            return body
        at = self._random.randrange(len(body) + 1)
        return body[:at] + self._random.choice((b"\xff", b"}", b'"', b"[" * 200, b"")) + body[at:]


async def told_by(target: Target, route: Route, request: dict[str, Any]) -> str:
    """OK, the reason of a refusal, or "bare" and what came in place of one."""
    token = target.token_for(route.rpc)
    headers = {"content-type": "application/json"}
    headers |= {"authorization": f"Bearer {token}"} if token else {}
    return what(await target.http.request(route.verb, headers=headers, **request))


def what(response: httpx.Response) -> str:
    """The same of a response."""
    if response.status_code == 200 and not response.headers["content-type"].startswith(
        "application/json"
    ):
        return "OK"
    try:
        envelope = response.json()
    except ValueError:
        return f"bare {response.status_code}: {response.content[:80]!r}"
    return "OK" if envelope.get("status", 1) == 1 else str(envelope["reason"])

"""
Every refusal that the edge can give, driven through it: in the envelope, with its own reason.

The raw requests are those of test_edge_http.py; a request that never ends is there too, since it
takes as long as it may.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from kuji.common.v1.error_reason_pb2 import ErrorReason
from kuji.draw.v1 import draw_pb2, pool_pb2

from services.common.contract import facts_of
from services.common.errors import ActivityNotOngoingError, CooldownError, OverloadedError
from services.pool.store.closings import Closing
from stack.edge.config import SOURCES, TEMPLATE
from stack.edge.limits import Limit, Limits
from tests.contract.edge_rig import Rig, running_rig
from tests.contract.test_edge_http import REFUSALS, Answer, send

LIMITS = Limits(address=Limit(1, 400), credentials=Limit(1, 2), user=Limit(1, 4))
DRAW, LOGIN, ODDS = "/api/lottery/draw", "/api/auth/login", "/api/lottery/odds"
ORIGIN = "https://shop.example"
_FROM = f"host: kuji\r\norigin: {ORIGIN}\r\n"
Case = Callable[[Rig], Awaitable[Answer]]
_users = iter(range(1000, 2000))


@pytest.fixture(name="strict", scope="module")
async def _strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """An edge that takes little, with one service away."""
    folder: Path = tmp_path_factory.mktemp("strict")
    async with running_rig(folder, missing="history", limits=LIMITS) as rig:
        await _until_keys(rig)
        yield rig


async def _until_keys(rig: Rig) -> None:
    """Return once the edge knows the tokens' keys."""
    rig.script.answer("Draw", draw_pb2.DrawResponse())
    while (await _draw(rig)).code == 503:  # nothing tells us
        pass


def _head(verb: str, path: str, role: str = "", rig: Rig | None = None, more: str = "") -> str:
    token = rig.script.token(role, sub=str(next(_users))) if rig and role else ""
    authorization = f"authorization: Bearer {token}\r\n" if token else ""
    return f"{verb} {path} HTTP/1.1\r\n{_FROM}{authorization}{more}"


async def _post(rig: Rig, path: str, body: bytes, role: str = "", more: str = "") -> Answer:
    length = f"content-length: {len(body)}\r\n"
    return await send(rig, _head("POST", path, role, rig, length + more), body)


async def _draw(rig: Rig, body: bytes = b"{}") -> Answer:
    return await _post(rig, DRAW, body, "user")


async def _flood_of_a_user(rig: Rig) -> Answer:
    head = _head("POST", DRAW, "user", rig, "content-length: 2\r\n")
    return [await send(rig, head, b"{}") for _ in range(LIMITS.user.burst + 2)][-1]


async def _flood_of_logins(rig: Rig) -> Answer:
    tries = LIMITS.credentials.burst + 2
    return [await _post(rig, LOGIN, b'{"username":1}') for _ in range(tries)][-1]


async def _flood_of_an_address(rig: Rig) -> Answer:
    for _ in range(5 * LIMITS.address.burst):
        answer = await send(rig, _head("GET", ODDS + "?x"))
        if answer.code == 429:
            return answer
    return answer


def _refusing(error: Exception) -> Case:
    async def case(rig: Rig) -> Answer:
        rig.script.answer("Draw", error)
        return await _draw(rig)

    return case


async def _closed(rig: Rig) -> Answer:
    """Of an activity that the edge knows to be paused."""
    rig.script.answer("Draw", ActivityNotOngoingError("paused"))
    granted = pool_pb2.GetClosingResponse(
        closing=pool_pb2.Closing.ValueType(Closing.PAUSED), pool_version=1, drawn=b"\0" * 128
    )
    rig.script.answer("GetClosing", granted)
    for _ in range(20):
        answer = await _draw(rig, b'{"activity_id":5}')
    return answer


async def _wrong_role(rig: Rig) -> Answer:
    return await send(rig, _head("GET", "/admin/api/statistics", "user", rig))


async def _too_large(rig: Rig) -> Answer:
    return await _draw(rig, b"x" * 65537)


async def _away(rig: Rig) -> Answer:
    return await send(rig, _head("GET", "/api/lottery/activities"))


async def _old_http(rig: Rig) -> Answer:
    return await send(rig, f"GET /nothing HTTP/1.0\r\n{_FROM}")


async def _upgrade(rig: Rig) -> Answer:
    more = "connection: upgrade\r\nupgrade: websocket\r\n"
    return await send(rig, _head("GET", "/nothing", more=more))


async def _unknown_name(rig: Rig) -> Answer:
    return await _draw(rig, b'{"requestId":"a"}')


async def _no_json(rig: Rig) -> Answer:
    return await _draw(rig, b"{bad")


async def _wrong_type(rig: Rig) -> Answer:
    return await _draw(rig, b'{"activity_id":"x"}')


# name → (how it comes to be, HTTP code, reason), beside the raw ones.
CASES: dict[str, tuple[Case, int, str]] = {
    "body is no JSON": (_no_json, 400, "INVALID_ARGUMENT"),
    "unknown name": (_unknown_name, 400, "INVALID_ARGUMENT"),
    "wrong type, by the transcoder": (_wrong_type, 400, "INVALID_ARGUMENT"),
    "role": (_wrong_role, 403, "PERMISSION_DENIED"),
    "large body": (_too_large, 413, "PAYLOAD_TOO_LARGE"),
    "HTTP/1.0": (_old_http, 404, "NOT_FOUND"),
    "websocket": (_upgrade, 404, "NOT_FOUND"),
    "service away": (_away, 503, "UNAVAILABLE"),
    "service overloaded": (_refusing(OverloadedError()), 503, "OVERLOADED"),
    "service's reason": (_refusing(CooldownError(41_000)), 429, "COOLDOWN"),
    "service defect": (_refusing(RuntimeError("what nobody may see")), 500, "INTERNAL"),
    "closed activity": (_closed, 400, "ACTIVITY_NOT_ONGOING"),
    "flood of a user": (_flood_of_a_user, 429, "RATE_LIMITED"),
    "flood of logins": (_flood_of_logins, 429, "RATE_LIMITED"),
    "flood of an address": (_flood_of_an_address, 429, "RATE_LIMITED"),  # the last: it stays so
}
# In test_edge_http.py alone.
_ELSEWHERE = {"REQUEST_TIMEOUT"}
_PASSING = {429, 503}


def _spoken() -> set[str]:
    """The reasons that the edge has words of its own for."""
    template = re.findall(r'"reason":"([A-Z_]+)"', TEMPLATE.read_text("utf-8"))
    lua = (SOURCES / "lua" / "refusal.lua").read_text("utf-8")
    return {*template, *re.findall(r"^  ([A-Z_]+) = \"", lua, re.MULTILINE)}


def test_every_reason_of_the_edge_has_a_case() -> None:
    """A new refusal of the edge needs one here."""
    found = {reason for _, _, reason in [*CASES.values(), *REFUSALS.values()]}
    assert set() == _spoken() - found - _ELSEWHERE


@pytest.mark.parametrize("name", CASES)
async def test_refusal_is_in_the_envelope(strict: Rig, name: str) -> None:
    """With the code of its reason, readable by other origins, and when to come back if ever."""
    case, code, reason = CASES[name]
    answer = await case(strict)
    assert (code, reason) == (answer.code, answer.reason)
    assert code == facts_of(ErrorReason.Value(f"ERROR_REASON_{reason}")).http
    assert ORIGIN == answer.headers["access-control-allow-origin"]
    assert "no-store" == answer.headers["cache-control"]
    assert (code in _PASSING) == ("retry-after" in answer.headers)
    assert b"nobody may see" not in answer.body

"""Requests made at random from the document that the edge gives of itself."""

import asyncio
import zlib
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable

from tests.hostile.requester import ROUTES, what
from tests.hostile.target import Target

_EXAMPLES = 2  # of an operation, that fit; and as many that do not
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _told(operation: Any, mode: Any, edge: str, headers: dict[str, str]) -> Counter[str]:
    """What became of some cases of *operation*."""
    told: Counter[str] = Counter()

    @seed(zlib.crc32(operation.label.encode()))
    @_SETTINGS
    @given(case=operation.as_strategy(mode))
    def ask(case: Any) -> None:
        told[what(_as_httpx(case.call(base_url=edge, headers=headers, timeout=20)))] += 1

    with suppress(Unsatisfiable):  # of what takes nothing, nothing can be wrong
        ask()
    return told


def _as_httpx(response: Any) -> httpx.Response:
    kind = {"content-type": response.headers["content-type"][0]}
    return httpx.Response(response.status_code, headers=kind, content=response.content)


def _ask_all(target: Target) -> dict[str, Counter[str]]:
    edge = target.stack.edge
    document = schemathesis.openapi.from_url(f"{edge}/openapi.json")
    operations: list[Any] = [one.ok() for one in document.get_all_operations()]  # type: ignore[union-attr]
    found = {(one.method.upper(), one.path): one for one in operations}
    told = {}
    for route in ROUTES:
        token = target.token_for(route.rpc)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        operation = found[route.verb, route.template]
        for mode in schemathesis.GenerationMode:
            told[f"{route.name}, {mode.value}"] = _told(operation, mode, edge, headers)
    return told


async def test_edge_answers_whatever_its_document_leads_to(target: Target) -> None:
    """Each case, one that fits or one that does not, has its answer or a true reason."""
    told = await asyncio.to_thread(_ask_all, target)
    in_all = sum(told.values(), Counter[str]())
    print(dict(in_all))
    assert [] == [
        f"{name}: {reason}"
        for name, reasons in told.items()
        for reason in reasons
        if reason == "INTERNAL" or reason.startswith("bare")
    ]
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= in_all.keys()

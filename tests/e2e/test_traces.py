"""A draw as one trace, from the edge to the stores, and in the logs; and what comes of it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.support.edge import Call, caller, log_in_admin, register
from tests.support.otlp import Collector, Span, collecting
from tests.support.stacks import StackUnderTest, stack_home

DRAW = "kuji.draw.v1.DrawService/Draw"
STRANGE = "0af7651916cd43dd8448eb211c80319c"


class Traced:
    """A stack, its collector, which can be taken away, and callers of its edge."""

    def __init__(self, stack: StackUnderTest, collector: Collector, away: AsyncExitStack) -> None:
        self.stack = stack
        self.collector = collector
        self.take_collector_away = away.aclose

    def log(self, part: str) -> list[dict[str, Any]]:
        """What *part* has logged."""
        lines = (self.stack.home / "logs" / f"{part}.log").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(name="traced", scope="module")
async def _traced() -> AsyncIterator[Traced]:
    async with AsyncExitStack() as away:
        collector = await away.enter_async_context(collecting())
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        with stack_home() as home:
            stack = StackUnderTest(home, environment)
            async with stack.running_beside():
                yield Traced(stack, collector, away)


@pytest.fixture(name="http")
async def _http(traced: Traced) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=traced.stack.edge, timeout=20) as client:
        yield client


@pytest.fixture(name="user")
async def _user(http: httpx.AsyncClient) -> Call:
    return caller(http, (await register(http))["access_token"])


async def _open(http: httpx.AsyncClient, traced: Traced) -> str:
    admin = caller(http, await log_in_admin(http, traced.stack.admin))
    opened = {"name": "traced", "status": "ongoing"}
    activity = await admin("POST", "/admin/api/activities", json=opened)
    prize = {"activity_id": activity["activity_id"], "name": "cup", "total_count": 5}
    await admin("POST", "/admin/api/prizes", json=prize | {"probability": 1})
    return str(activity["activity_id"])


def _of(spans: list[Span], service: str, name: str) -> list[Span]:
    return [span for span in spans if (span.service, span.name) == (service, name)]


async def test_draw_is_one_trace_from_the_edge_to_the_store(
    traced: Traced, http: httpx.AsyncClient, user: Call
) -> None:
    """
    Edge, draw, script; the recorder's work is found by pool and draw. A change by an administrator
    goes from the edge by admin and Postgres to draw and Redis. What a client says of traces does
    not count, and what is secret is in none.
    """
    activity_id, collector = await _open(http, traced), traced.collector
    strange = {"traceparent": f"00-{STRANGE}-b7ad6b7169203331-01", "x-client-trace-id": "mine"}
    http.headers.update(strange)
    drawn = await user("POST", "/api/lottery/draw", json={"activity_id": activity_id})
    pool_id, seq = map(int, drawn["draw_id"].split("-"))

    def whole(spans: list[Span]) -> dict[str, Span] | None:
        for draw in _of(spans, "kuji-draw", DRAW):
            trace = collector.trace(draw.trace_id)
            if any(name.startswith("kuji-edge") for name in trace):
                return trace
        return None

    trace = await collector.until(whole)
    edge = next(span for name, span in trace.items() if name.startswith("kuji-edge"))
    draw, script = trace[f"kuji-draw {DRAW}"], trace["kuji-draw EVALSHA draw"]
    assert [("", edge.span_id), (edge.span_id, draw.span_id)] == [
        (edge.parent_id, draw.parent_id),
        (draw.parent_id, script.parent_id),
    ]
    assert (pool_id, seq) == (draw.attributes["kuji.pool_id"], draw.attributes["kuji.seq"])
    assert (pool_id, 1) == (
        script.attributes["kuji.pool_id"],
        script.attributes["kuji.batch.draws"],
    )
    assert STRANGE not in {span.trace_id for span in collector.spans}

    def recorded(spans: list[Span]) -> bool:
        return any(
            span.attributes["kuji.pool_id"] == pool_id
            and span.attributes["kuji.first_seq"] <= seq <= span.attributes["kuji.last_seq"]
            for span in _of(spans, "kuji-recorder", "record")
        )

    await collector.until(recorded)

    def changed(spans: list[Span]) -> bool:
        for one in _of(spans, "kuji-admin", "kuji.admin.v1.AdminService/CreatePrize"):
            names = set(collector.trace(one.trace_id))
            services = {name.partition(" ")[0] for name in names}
            if services == {"kuji-edge", "kuji-admin", "kuji-draw"}:
                return {"kuji-admin INSERT", "kuji-draw EVALSHA"} <= names
        return False

    await collector.until(changed)
    said = repr(collector.spans)
    assert "correct horse" not in said
    assert traced.stack.admin["password"] not in said
    assert drawn["prize"]["prize_code"] not in said


async def test_failing_draw_is_found_from_its_log_line(
    traced: Traced, http: httpx.AsyncClient
) -> None:
    """With the store frozen a draw fails; its line in the log has its trace, and its request id."""
    activity_id = await _open(http, traced)
    token = (await register(http))["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    body = {"activity_id": activity_id, "request_id": "frozen"}
    valkey = traced.stack.pids()["valkey"]
    os.kill(valkey, signal.SIGSTOP)
    try:
        answer = await http.post("/api/lottery/draw", json=body, headers=headers)
        assert (503, "UNAVAILABLE") == (answer.status_code, answer.json()["reason"])
    finally:
        os.kill(valkey, signal.SIGCONT)

    def failed(spans: list[Span]) -> list[Span]:
        return [span for span in _of(spans, "kuji-draw", DRAW) if span.has_failed]

    (span,) = await traced.collector.until(failed)
    lines = [line for line in traced.log("draw") if line.get("request_id") == "frozen"]
    assert [(span.trace_id, "Draw")] == [(line["trace_id"], line["method"]) for line in lines]
    assert "UNAVAILABLE" == span.attributes["kuji.reason"]


async def test_all_goes_on_while_the_collector_is_away(
    traced: Traced, http: httpx.AsyncClient, user: Call
) -> None:
    """Draws are drawn; what is not delivered is counted, and said once."""
    activity_id = await _open(http, traced)
    await traced.take_collector_away()
    body = {"activity_id": activity_id}
    async with asyncio.timeout(30):
        while True:
            assert await user("POST", "/api/lottery/draw", json=body)
            metrics = (await http.get(traced.stack.endpoints["metrics"]["draw"])).text
            if 'kuji_spans_dropped_total{why="away"}' in metrics:
                break
    said = [line["event"] for line in traced.log("draw")]
    assert 1 == said.count("traces are not delivered")

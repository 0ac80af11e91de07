"""Which traces leave a process: a real server, and a real collector."""

import asyncio
import base64
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from pydantic import SecretStr
from redis.asyncio import Redis

from services.common import errors
from services.common.context import RequestContext
from services.common.keyset import Jwks
from services.common.server.serve import Implementation, build_server
from services.common.settings import ServiceSettings
from services.common.tokens import TokenVerifier
from services.common.traces import switch
from services.common.traces.counters import DROPPED
from services.common.traces.local import MAX_STEPS, StepKind, TraceStep
from services.common.traces.pipeline import FAILURES_PER_S, MAX_QUEUED, Pipeline
from services.common.traces.settings import TraceSettings
from services.common.traces.stores import noting
from services.common.traces.switch import traced_step
from stack.ports import free_port
from stack.processes import ROOT
from tests.support.otlp import Collector, collecting

KEY = Ed25519PrivateKey.generate()
EDGE = "what the edge shows"
SAMPLED, UNSAMPLED = "01", "00"
THEIRS = "0af7651916cd43dd8448eb211c80319c"


async def _fetch_jwks() -> Jwks:
    x = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "one", "alg": "EdDSA"}]}


def _metadata(role: str, flags: str = "", **more: str) -> tuple[tuple[str, str], ...]:
    claims = {"iss": "kuji", "aud": "kuji", "sub": "7", "name": "alice", "role": role}
    token = jwt.encode(claims | {"exp": int(time.time()) + 600}, KEY, "EdDSA", {"kid": "one"})
    parent = [("traceparent", f"00-{THEIRS}-b7ad6b7169203331-{flags}")] if flags else []
    told = [(name.replace("_", "-"), value) for name, value in more.items()]
    return (("authorization", f"Bearer {token}"), *parent, *told)


class Scripted:
    """Draws as it is told to."""

    def __init__(self) -> None:
        self.work: Callable[[], Any] = dict

    async def Draw(  # noqa: N802
        self, request: Any, ctx: RequestContext
    ) -> draw_pb2.DrawResponse:
        """Does its work."""
        result = self.work()
        if asyncio.iscoroutine(result):
            await result
        return draw_pb2.DrawResponse()

    def __getattr__(self, name: str) -> Any:
        return self.Draw


class House:
    """A server with traces, its stub, its script, and the collector."""

    def __init__(self, collector: Collector, script: Scripted, stub: Any) -> None:
        self.collector = collector
        self.script = script
        self._stub = stub

    async def draw(self, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
        """How a draw ends."""
        request = draw_pb2.DrawRequest(activity_id=1, request_id="once")
        try:
            await self._stub.Draw(request, metadata=metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    async def fail(self, error: Exception, metadata: tuple[tuple[str, str], ...]) -> str:
        """The name of the code with which a draw ends that raises *error*."""

        def work() -> None:
            raise error

        self.script.work = work
        return (await self.draw(metadata)).name


@asynccontextmanager
async def _house(
    monkeypatch: pytest.MonkeyPatch, sampler: str, ratio: float = 1.0
) -> AsyncIterator[House]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with collecting() as collector:
        traces = TraceSettings(
            exporter_otlp_endpoint=f"http://{collector.address}",
            traces_sampler=sampler,
            traces_sampler_arg=ratio,
        )
        pipeline = Pipeline("draw", traces)
        monkeypatch.setattr(switch, "_on", pipeline)
        settings = ServiceSettings(listen="127.0.0.1:0", edge_secret=SecretStr(EDGE))
        script = Scripted()
        service = draw_pb2.DESCRIPTOR.services_by_name["DrawService"]
        verifier = TokenVerifier(_fetch_jwks)
        server, port, _ = build_server([Implementation(script, service)], verifier, settings)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield House(collector, script, draw_pb2_grpc.DrawServiceStub(channel))
        await server.stop(0)
        await asyncio.to_thread(pipeline.close)


def _dropped(why: str) -> float:
    return float(DROPPED.labels(why)._value.get())


async def test_failures_are_kept_where_nothing_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A draw that fails for want of a part, or of a defect, leaves with its steps and its reason; one
    that is well, or refused, or shed, does not. In an outage, so many a second do.
    """
    async with _house(monkeypatch, "always_off") as house:
        user = _metadata("user")
        assert grpc.StatusCode.OK is await house.draw(user)
        assert "FAILED_PRECONDITION" == await house.fail(
            errors.ActivityNotOngoingError("paused"), user
        )
        assert "UNAVAILABLE" == await house.fail(errors.OverloadedError(), user)

        def away() -> None:
            with traced_step("EVALSHA", {"db.system.name": "redis"}):
                raise ConnectionResetError("gone")

        house.script.work = away
        assert grpc.StatusCode.UNAVAILABLE is await house.draw(user)
        assert "INTERNAL" == await house.fail(RuntimeError("secret words"), user)
        spans = await house.collector.until(lambda spans: len(spans) == 3 and spans)
        assert {
            ("kuji.draw.v1.DrawService/Draw", "UNAVAILABLE"),
            ("kuji.draw.v1.DrawService/Draw", "INTERNAL"),
            ("EVALSHA", None),
        } == {(span.name, span.attributes.get("kuji.reason")) for span in spans}
        assert all(span.has_failed and span.service == "kuji-draw" for span in spans)
        (step,) = [span for span in spans if span.name == "EVALSHA"]
        assert step.parent_id in [span.span_id for span in spans]
        assert "secret words" not in repr(spans)

        before = _dropped("failures")
        for _ in range(3 * FAILURES_PER_S):
            await house.fail(ConnectionResetError("gone"), user)
        assert before < _dropped("failures")


async def test_trace_goes_on_where_a_service_or_the_edge_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """W3C traceparent: of services and the edge it is believed; nobody else has a say."""
    async with _house(monkeypatch, "parentbased_always_off") as house:
        by_edge = {"x_kuji_edge": EDGE, "x_kuji_client_address": "192.0.2.1"}
        for metadata in (
            _metadata("user", SAMPLED),
            _metadata("admin", SAMPLED),
            _metadata("user", SAMPLED, **by_edge | {"x_kuji_edge": "a guess"}),
            _metadata("service", UNSAMPLED),
            _metadata("service", "zz"),
        ):
            assert grpc.StatusCode.OK is await house.draw(metadata)
        assert grpc.StatusCode.OK is await house.draw(_metadata("service", SAMPLED))
        assert grpc.StatusCode.OK is await house.draw(_metadata("user", SAMPLED, **by_edge))
        assert "UNAVAILABLE" == await house.fail(
            ConnectionResetError(), _metadata("service", UNSAMPLED)
        )
        spans = await house.collector.until(lambda spans: len(spans) >= 3 and spans)
        assert [(THEIRS, "b7ad6b7169203331")] * 3 == [
            (span.trace_id, span.parent_id) for span in spans
        ]
        assert [False, False, True] == [span.has_failed for span in spans]


async def test_sampling_is_by_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of traces that begin here, about the share that was asked for."""
    async with _house(monkeypatch, "parentbased_traceidratio", 0.5) as house:
        pipeline = switch.pipeline()
        assert pipeline is not None
        traces = [pipeline.begin("work", StepKind.INTERNAL, {}) for _ in range(2000)]
        assert 800 < sum(trace.is_sampled for trace in traces) < 1200
        assert house.collector.spans == []


class _Slow(SpanExporter):
    """A collector that says nothing until it is let, and then that it has failed."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Wait."""
        self.go_on.wait(20)
        return SpanExportResult.FAILURE


def test_what_is_too_much_is_counted_and_dropped() -> None:
    """Steps of a trace, spans in all, and what cannot be delivered: nothing grows, nobody waits."""
    slow = _Slow()
    settings = TraceSettings(exporter_otlp_endpoint="http://127.0.0.1:1")
    pipeline = Pipeline("draw", settings, slow)
    before = {why: _dropped(why) for why in ("steps", "queue", "away")}
    room, spans = MAX_QUEUED // (1 + MAX_STEPS), 1 + MAX_STEPS
    for _ in range(room + 2):
        trace = pipeline.begin("work", StepKind.INTERNAL, {})
        for _ in range(MAX_STEPS + 1):
            trace.note(TraceStep("EVALSHA", StepKind.CLIENT, {}, 1, 2))
        pipeline.end(trace)
    slow.go_on.set()
    pipeline.close()
    dropped = {why: _dropped(why) - count for why, count in before.items()}
    assert {"steps": room + 2, "queue": 2 * spans, "away": room * spans} == dropped


async def test_end_of_a_process_does_not_wait_for_a_collector_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is under way is given up: SIGTERM has little time, and draws to finish."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    pipeline = Pipeline("draw", TraceSettings(exporter_otlp_endpoint=endpoint))
    pipeline.end(pipeline.begin("work", StepKind.INTERNAL, {}))
    before = _dropped("away")
    await asyncio.wait_for(asyncio.to_thread(pipeline.close), 8)  # the SDK's own: 10
    async with asyncio.timeout(10):
        while _dropped("away") == before:  # noqa: ASYNC110  # it is in a thread
            await asyncio.sleep(0.02)


async def test_pipelines_and_commands_of_redis_are_noted(
    monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    """By name, without what they carry."""
    async with _house(monkeypatch, "always_on") as house:
        client = noting(redis)

        async def work() -> None:
            await client.set("key", "secret")
            async with client.pipeline(transaction=True) as pipe:
                pipe.get("key")
                assert [b"secret"] == await pipe.execute()

        house.script.work = work
        assert grpc.StatusCode.OK is await house.draw(_metadata("user"))
        spans = await house.collector.until(lambda spans: len(spans) >= 3 and spans)
        assert ["SET", "PIPELINE"] == [span.name for span in spans[1:]]
        assert "secret" not in repr(spans)


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    """
    The draw service has the plain classes, and nothing that makes or exports spans. (redis-py
    imports the SDK's metrics by itself where they are installed.)
    """
    script = (
        "import sys; from services.common import traces; import services.draw.__main__;"
        "from services.common.server.gate import Gate; from services.common.server import serve;"
        "from services.common.settings import ServiceSettings as S;"
        "from services.draw.batcher import Batcher;"
        "from services.draw.traced_batcher import batcher_class;"
        "import asyncpg; from services.common.traces.stores import connection_class;"
        "gate = serve.gate_of(None, S(listen=''));"
        "make = serve._maker_of(gate, S(listen=''));"
        "assert (type(gate), make.func, batcher_class(), connection_class()) =="
        " (Gate, serve.Rpc, Batcher, asyncpg.Connection);"
        "unwanted = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'opentelemetry.proto');"
        "print([name for name in sys.modules if name.startswith(unwanted)])"
    )
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "[]" == ran.stdout.strip(), ran.stderr

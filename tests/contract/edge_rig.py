"""A real Envoy before scripted services: what the edge does, whatever the services answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.api import httpbody_pb2
from google.protobuf.message import Message
from jwt.algorithms import OKPAlgorithm
from pydantic import SecretStr

from services.common.context import RequestContext
from services.common.server.health import START, Health
from services.common.server.rpc import Rpc
from services.common.server.serve import (
    Front,
    Implementation,
    build_server,
    gate_of,
    handlers_of,
)
from services.common.settings import ServiceSettings
from services.common.tls_files import TlsFiles
from services.common.tokens import TokenVerifier
from services.draw.settings import DrawSettings
from stack.edge.config import EVERYBODY, Edge, envoy
from stack.edge.contract import CLUSTERS, cluster_of, services
from stack.edge.health import is_serving
from stack.edge.limits import Limits
from stack.edge.tls import CertFiles
from stack.ports import free_port
from stack.probes import UNREACHABLE, certificate_itself, http_get
from stack.processes import Child, stop

# What each process serves.
SERVICES = {
    name: tuple(service for service in services() if cluster_of(service) == name)
    for name in CLUSTERS
}
Behaviour = Callable[[Any, RequestContext], Awaitable[Message]]
_KID = "test"
EDGE_SECRET = "what the edge shows"


class ScriptedRpc(Rpc):
    """An RPC that takes and gives what the test says, whatever its proto states."""

    def check(self, message: Message) -> None:
        """Whatever comes is looked at by the test."""


class Script:
    """Answers each RPC as told: a message, a list of messages for a stream, or an error."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._answers: dict[str, Message | list[Message] | Exception] = {}
        self._behaviours: dict[str, Behaviour] = {}
        self.requests: list[tuple[str, Any, RequestContext]] = []

    def answer(self, method: str, answer: Message | list[Message] | Exception) -> None:
        """From now on, *method* gives *answer*."""
        self._answers[method] = answer

    def behave(self, method: str, behaviour: Behaviour) -> None:
        """From now on, *method* does what *behaviour* does."""
        self._behaviours[method] = behaviour

    def forget(self) -> None:
        """Forget all answers and requests."""
        self._answers.clear()
        self._behaviours.clear()
        self.requests.clear()

    def token(self, role: str = "user", key: Ed25519PrivateKey | None = None, **claims: Any) -> str:
        """An access token of user 7 that lives for a minute, unless *claims* say otherwise."""
        now = int(time.time())
        content = {
            "iss": "kuji",
            "aud": "kuji",
            "sub": "7",
            "name": "alice",
            "role": role,
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode(
            content | claims, key or self._key, algorithm="EdDSA", headers={"kid": _KID}
        )

    async def jwks(self) -> dict[str, Any]:
        """The key set that verifies the tokens."""
        key = json.loads(OKPAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [key | {"kid": _KID, "alg": "EdDSA", "use": "sig"}]}

    def _next(self, method: str) -> Any:
        answer = self._answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __getattr__(self, method: str) -> Any:
        is_stream = method.startswith(("Stream", "Simulate"))
        return self._stream(method) if is_stream else self._unary(method)

    def _unary(self, method: str) -> Any:
        async def call(request: Message, ctx: RequestContext) -> Any:
            self.requests.append((method, request, ctx))
            if method == "GetJwks":
                data = json.dumps(await self.jwks()).encode()
                return httpbody_pb2.HttpBody(content_type="application/json", data=data)
            if behaviour := self._behaviours.get(method):
                return await behaviour(request, ctx)
            return self._next(method)

        return call

    def _stream(self, method: str) -> Any:
        async def call(request: Message, ctx: RequestContext) -> AsyncIterator[Message]:
            self.requests.append((method, request, ctx))
            for message in self._next(method):
                yield message

        return call


@dataclass(frozen=True)
class Upstream:
    """One scripted process: its server and the health that it shows."""

    service: str
    server: grpc.aio.Server
    health: Health
    address: str

    async def set_healthy(self, up: bool) -> None:
        """Show itself as healthy or not."""
        if up:
            self.health.have(START)
        else:
            self.health.lack(START)


class Rig:
    """The edge, its script, what is behind it, and a client of it."""

    def __init__(
        self,
        edge: Edge,
        script: Script,
        upstreams: list[Upstream],
        http: httpx.AsyncClient,
        pid: int,
    ) -> None:
        self.edge = edge
        self.script = script
        self.upstreams = upstreams
        self.http = http
        self.pid = pid

    async def call(
        self, method: str, path: str | httpx.URL, role: str | None = None, **options: Any
    ) -> Any:
        """The response to *method* *path*, with a token of *role*."""
        headers = {"authorization": f"Bearer {self.script.token(role)}"} if role else {}
        return await self.http.request(method, path, headers=headers, **options)

    async def wait_for_health(self, status: int, patience_s: float = 10) -> None:
        """Return once /healthz answers *status*."""
        async with asyncio.timeout(patience_s):
            while (await self.http.get("/healthz")).status_code != status:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def start_upstream(
    script: Script, service: str, listen: str = "127.0.0.1:0", tls: TlsFiles | None = None
) -> Upstream:
    """A scripted process, serving; with the certificates of *tls*."""
    settings = ServiceSettings(
        listen=listen,
        edge_secret=SecretStr(EDGE_SECRET),
        tls_cert_file=tls.cert if tls else None,
        tls_key_file=tls.key if tls else None,
        tls_ca_file=tls.ca if tls else None,
    )
    verifier = TokenVerifier(script.jwks)
    front = DrawSettings.model_fields["draw_front"].default if service == "draw" else Front.GRPCIO
    server, port, healthy = build_server([], verifier, settings, front)
    make = partial(ScriptedRpc, gate=gate_of(verifier, settings), strict=False)
    served = [Implementation(script, descriptor) for descriptor in SERVICES[service]]
    server.add_generic_rpc_handlers(tuple(handlers_of(one, make) for one in served))
    upstream = Upstream(service, server, healthy, f"127.0.0.1:{port}")
    await server.start()
    await upstream.set_healthy(True)
    return upstream


async def _is_up(edge: Edge) -> bool:
    try:
        return bool(await http_get(f"{edge.url}/healthz"))
    except UNREACHABLE:
        return False


@asynccontextmanager
async def running_rig(
    folder: Path,
    draw_processes: int = 1,
    trusted_hops: int = 0,
    missing: str = "",
    origins: Sequence[str] = (EVERYBODY,),
    methods_lua: str = "",
    limits: Limits | None = None,
    tls: CertFiles | None = None,
    services_tls: TlsFiles | None = None,
    threads: int = 2,
) -> AsyncIterator[Rig]:
    """
    A rig with its files in *folder*, healthy but for *missing*, which is not there.

    With *methods_lua*, the edge goes by that instead of what the protos say.
    """
    script = Script()
    names = [*SERVICES, *["draw"] * (draw_processes - 1)]
    upstreams = [
        await start_upstream(script, name, tls=services_tls) for name in names if name != missing
    ]
    addresses = {
        name: [upstream.address for upstream in upstreams if upstream.service == name]
        for name in SERVICES
    }
    if missing:
        addresses[missing] = [f"127.0.0.1:{free_port()}"]
    socket = folder / "admin.sock"
    edge = Edge(
        "127.0.0.1",
        free_port(),
        socket,
        addresses,
        EDGE_SECRET,
        trusted_hops,
        origins,
        limits or Limits(),
        status=f"127.0.0.1:{free_port()}",
        tls=tls,
        services_tls=services_tls,
        threads=threads,
    )
    program = envoy(edge, folder, folder / "envoy.log")
    if methods_lua:
        (folder / "methods.lua").write_text(methods_lua)
    child = Child(program)
    try:
        await child.wait_until_ready(partial(_is_up if missing else is_serving, edge))
        believed = certificate_itself(tls.cert) if tls else True
        async with httpx.AsyncClient(base_url=edge.url, timeout=20, verify=believed) as http:
            yield Rig(edge, script, upstreams, http, child.pid)
    finally:
        stop([child], timeout_s=10)
        for upstream in upstreams:
            await upstream.server.stop(0)

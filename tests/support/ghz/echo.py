"""The server that load generators are compared on: see tests/load/ghz/echo.proto."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvloop
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

from services.common.server.reflection import offer_reflection

FOLDER = Path(__file__).parents[2] / "load" / "ghz"
PROTO = FOLDER / "echo.proto"
NAME = "kuji.loadtest.v1.EchoService"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def compile_protoset(path: Path) -> None:
    """Write the descriptors of echo.proto, as `protoc --descriptor_set_out` does."""
    arguments = ["protoc", f"-I{FOLDER}", f"--descriptor_set_out={path}", PROTO.name]
    assert 0 == protoc.main(arguments)


def _pool() -> descriptor_pool.DescriptorPool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "echo.binpb"
        compile_protoset(path)
        files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool


@dataclass
class EchoServer:
    """Answers as it is told; *texts* and *metadata* are what came, *called* is set by each call."""

    texts: list[str] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pool = _pool()
        self.called = asyncio.Event()
        named = self.pool.FindMessageTypeByName
        self.request = message_factory.GetMessageClass(named("kuji.loadtest.v1.EchoRequest"))
        self.response = message_factory.GetMessageClass(named("kuji.loadtest.v1.EchoResponse"))

    async def _take(self, request: Any, context: Any) -> None:
        self.texts.append(request.text)
        await asyncio.sleep(request.delay_ms / 1000)
        if request.code:
            await context.abort(_CODES[request.code], f"code {request.code} was asked for")

    def _note(self, context: Any) -> None:
        self.metadata.append(dict(context.invocation_metadata()))
        self.called.set()

    async def say(self, request: Any, context: Any) -> Any:
        self._note(context)
        await self._take(request, context)
        return self.response(text=request.text, received=1)

    async def collect(self, requests: AsyncIterator[Any], context: Any) -> Any:
        self._note(context)
        texts = []
        async for request in requests:
            await self._take(request, context)
            texts.append(request.text)
        return self.response(text=",".join(texts), received=len(texts))

    async def expand(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self._note(context)
        for number in range(request.count):
            await self._take(request, context)
            yield self.response(text=request.text, received=number)

    async def chat(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        self._note(context)
        async for request in requests:
            await self._take(request, context)
            yield self.response(text=request.text, received=1)

    def server(self) -> grpc.aio.Server:
        """A server that is not started, with reflection; add a port."""
        names = {
            "Say": grpc.unary_unary_rpc_method_handler(self.say, self._read, self._write),
            "Collect": grpc.stream_unary_rpc_method_handler(self.collect, self._read, self._write),
            "Expand": grpc.unary_stream_rpc_method_handler(self.expand, self._read, self._write),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat, self._read, self._write),
        }
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, names),))
        offer_reflection(server, [NAME], self.pool)
        return server

    def _read(self, data: bytes) -> Any:
        return self.request.FromString(data)

    @staticmethod
    def _write(message: Any) -> bytes:
        data: bytes = message.SerializeToString()
        return data


async def _serve() -> None:
    server = EchoServer().server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(_serve())

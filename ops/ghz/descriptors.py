"""Where the method comes from: a .proto file, a protoset, or the server's reflection."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from ops.errors import OperatorError
from ops.ghz.config_file import read_file
from ops.ghz.notation import NS_PER_S
from ops.ghz.options import GhzOptions

_PROTOC_TIMEOUT_S = 60
_MOST_FILES = 2000
_VERSIONS = ("v1", "v1alpha")


def split_call(call: str) -> tuple[str, str]:
    """Service and method of package.Service/Method or package.Service.Method."""
    name = call.removeprefix(".")
    service, mark, method = name.rpartition("/" if "/" in name else ".")
    if not mark or not service or not method or "/" in service:
        raise OperatorError(
            f'call: "{call}" is not package.Service/Method or package.Service.Method'
        )
    return service, method


def import_paths_of(options: GhzOptions) -> tuple[str, ...]:
    """Where protoc looks: the folder of the file, this folder, and what is given."""
    if not options.proto:
        return ()
    folder = str(Path(options.proto).parent)
    return (*[folder] * (folder != "."), ".", *options.import_paths)


async def find_method(options: GhzOptions, channel: grpc.aio.Channel) -> MethodDescriptor:
    """
    The method to call; *channel* is asked only where neither proto nor protoset is given.

    Raises:
        OperatorError: It cannot be found, or its description cannot be read.
    """
    service, method = split_call(options.call)
    if options.proto:
        files = _compiled(options)
    elif options.protoset:
        files = _protoset(Path(options.protoset))
    else:
        files = await _reflected(options, service, channel)
    return _method(files, service, method)


def _method(files: Iterable[FileDescriptorProto], service: str, method: str) -> MethodDescriptor:
    pool = DescriptorPool()
    try:
        for file in _in_order(files):
            pool.Add(file)
        found = pool.FindServiceByName(service)
    except KeyError:
        raise OperatorError(f'call: cannot find service "{service}"') from None
    except TypeError as error:
        raise OperatorError(f"the descriptors do not fit together: {error}") from None
    if method not in found.methods_by_name:
        raise OperatorError(f'call: service "{service}" has no method "{method}"')
    return found.methods_by_name[method]


def _in_order(files: Iterable[FileDescriptorProto]) -> list[FileDescriptorProto]:
    """Each file after those that it imports."""
    waiting = {file.name: file for file in files}
    ordered: list[FileDescriptorProto] = []

    def take(name: str) -> None:
        file = waiting.pop(name, None)
        if file is not None:
            for imported in file.dependency:
                take(imported)
            ordered.append(file)

    for name in list(waiting):
        take(name)
    return ordered


def _protoset(path: Path) -> list[FileDescriptorProto]:
    try:
        return list(FileDescriptorSet.FromString(read_file(path, "protoset")).file)
    except DecodeError as error:
        raise OperatorError(f"protoset: {path} cannot be read: {error}") from None


def _compiled(options: GhzOptions) -> list[FileDescriptorProto]:
    """What protoc makes of the file; it is part of grpcio-tools."""
    proto = Path(options.proto)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        paths = [f"-I{path}" for path in import_paths_of(options)]
        command = [sys.executable, "-m", "grpc_tools.protoc", *paths]
        command += ["--include_imports", f"--descriptor_set_out={out}"]
        command.append(proto.name if proto.is_absolute() else str(proto))
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_PROTOC_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise OperatorError(f"proto: protoc took longer than {_PROTOC_TIMEOUT_S} s") from None
        if done.returncode:
            raise OperatorError(f"proto: {_problem_of(done.stderr)}")
        return _protoset(out)


def _problem_of(stderr: str) -> str:
    if "No module named" in stderr:
        return "this needs grpcio-tools, which `make setup` installs; or give --protoset"
    return " ".join(stderr.split())


async def _reflected(
    options: GhzOptions, service: str, channel: grpc.aio.Channel
) -> list[FileDescriptorProto]:
    for version in _VERSIONS:
        try:
            return await _ask(options, service, channel, version)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise OperatorError(f"reflection: {error.details()}") from None
    raise OperatorError("the server does not support the reflection API")


async def _ask(
    options: GhzOptions, service: str, channel: grpc.aio.Channel, version: str
) -> list[FileDescriptorProto]:
    """
    The file of the service, and all that it imports; both versions have the same messages.

    Each question is a stream of its own, which is whole when it begins: a write to a stream that
    the server has refused would hide why.
    """
    ask = channel.unary_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    metadata = tuple((options.reflect_metadata or {}).items())
    timeout_s = (options.connect_timeout or 10 * NS_PER_S) / NS_PER_S
    ends_at = asyncio.get_running_loop().time() + timeout_s
    files: dict[str, FileDescriptorProto] = {}
    question = reflection_pb2.ServerReflectionRequest(file_containing_symbol=service)
    while len(files) < _MOST_FILES:
        left_s = max(0.0, ends_at - asyncio.get_running_loop().time())
        call = ask(question, metadata=metadata, timeout=left_s)
        for file in _files_of(await call.read(), service):
            files.setdefault(file.name, file)
        call.cancel()
        if not (missing := sorted(_missing(files))):
            break
        question = reflection_pb2.ServerReflectionRequest(file_by_filename=missing[0])
    return list(files.values())


def _missing(files: dict[str, FileDescriptorProto]) -> set[str]:
    return {name for file in files.values() for name in file.dependency} - set(files)


def _files_of(answer: object, service: str) -> Iterable[FileDescriptorProto]:
    if not isinstance(answer, reflection_pb2.ServerReflectionResponse):
        raise OperatorError("reflection: the server ended before it answered")
    if answer.HasField("error_response"):
        why = answer.error_response.error_message
        raise OperatorError(f'reflection: the server does not know "{service}": {why}')
    for data in answer.file_descriptor_response.file_descriptor_proto:
        yield FileDescriptorProto.FromString(data)

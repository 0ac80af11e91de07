"""The comments of the protos, by the full name of what they describe."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

# Field numbers of descriptor.proto, by which source_code_info names places.
_CHILDREN: dict[str, dict[int, str]] = {
    "FileDescriptorProto": {4: "message_type", 5: "enum_type", 6: "service"},
    "DescriptorProto": {2: "field", 3: "nested_type", 4: "enum_type"},
    "EnumDescriptorProto": {2: "value"},
    "ServiceDescriptorProto": {2: "method"},
}


def comments_of(files: FileDescriptorSet) -> dict[str, str]:
    """Full name → comment, of messages, fields, enums, values, services and RPCs."""
    return {name: text for file in files.file for name, text in _of_file(file)}


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        name = _name_of(file, location.path)
        if name and location.leading_comments:
            yield name, "\n".join(line.strip() for line in location.leading_comments.splitlines())


def _name_of(file: FileDescriptorProto, path: Iterable[int]) -> str | None:
    node: Any = file
    names, steps = [file.package], iter(path)
    for number in steps:
        children = _CHILDREN.get(type(node).__name__, {}).get(number)
        if children is None:
            return None
        node = getattr(node, children)[next(steps)]
        names.append(node.name)
    return ".".join(names) if len(names) > 1 else None


def paragraphs(comment: str) -> list[str]:
    """The paragraphs of *comment*, each in one line."""
    return [" ".join(part.split()) for part in comment.split("\n\n") if part.strip()]

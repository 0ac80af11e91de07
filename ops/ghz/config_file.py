"""Configuration files of ghz: JSON, TOML or YAML, by the end of the name."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.errors import OperatorError
from ops.ghz.options import OPTIONS
from ops.ghz.values import value_of

_LARGEST_BYTES = 64 * 1024 * 1024
# Go's decoders do not mind the case of a name.
_ATTRIBUTES = {option.name.lower(): name for name, option in OPTIONS.items() if option.in_file}


def read_config(path: Path) -> dict[str, Any]:
    """
    What the file says, by the attribute of GhzOptions, with the defaults that a file has.

    Raises:
        OperatorError: The file cannot be read, or says something that ghz does not know.
    """
    said = _parse(path, read_file(path, "the configuration"))
    if not isinstance(said, dict):
        raise OperatorError(f"{path} holds no options")
    values = {
        name: option.file_default
        for name, option in OPTIONS.items()
        if option.file_default is not None
    }
    for name, given in said.items():
        attribute = _ATTRIBUTES.get(str(name).lower())
        if attribute is None:
            raise OperatorError(f'{path}: ghz has no option "{name}"')
        values[attribute] = value_of(OPTIONS[attribute], given)
    return {name: value for name, value in values.items() if not _is_unset(name, value)}


def _is_unset(attribute: str, value: object) -> bool:
    """ghz takes an empty value of a file for one that is not there."""
    return OPTIONS[attribute].file_default is None and not value


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a file of bounded size; OperatorError names *what* it is for."""
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise OperatorError(f"{path} is too large for {what}")
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{what}: {path}: {error.strerror}") from None


def _parse(path: Path, data: bytes) -> object:
    name = path.suffix.lower()
    parsers = [_PARSERS[name]] if name in _PARSERS else [_json, _toml, _yaml]
    problem = ""
    for parse in parsers:
        try:
            return parse(data.decode())
        except ValueError as error:
            problem = problem or str(error)
    raise OperatorError(f"{path} cannot be read: {problem}")


def _json(text: str) -> object:
    return json.loads(text)


def _toml(text: str) -> object:
    return tomllib.loads(text)


def _yaml(text: str) -> object:
    try:
        import yaml
    except ImportError:
        raise OperatorError("YAML needs PyYAML, which `make setup` installs") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


_PARSERS: Mapping[str, Callable[[str], object]] = {
    ".json": _json,
    ".toml": _toml,
    ".yaml": _yaml,
    ".yml": _yaml,
}

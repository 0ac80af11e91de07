"""The flags of ghz, and what they and a configuration file make together."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from ops.errors import OperatorError
from ops.ghz.config_file import read_config
from ops.ghz.options import OPTIONS, GhzOptions, Option, OptionKind
from ops.ghz.values import flag_value_of, value_of

_DESCRIPTION = (
    "Call a gRPC method again and again, and report how long it took: options, configuration "
    "files and reports are those of ghz 0.121, see docs/ghz.md."
)


class _FlagParser(argparse.ArgumentParser):
    """Says what is wrong in a sentence, and does not end the process."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            message = f"ghz has no option {unknown.split()[0]}"
        raise OperatorError(f"{message}; see kuji ghz --help")


def _parser() -> argparse.ArgumentParser:
    parser = _FlagParser(prog="kuji ghz", description=_DESCRIPTION, allow_abbrev=False)
    told = f"kuji ghz {version('kuji-platform')}, as ghz 0.121.0"
    parser.add_argument("-v", "--version", action="version", version=told)
    parser.add_argument("--config", metavar="FILE", help="JSON, TOML or YAML with options.")
    for attribute, option in OPTIONS.items():
        if option.as_flag:
            _add(parser, attribute, option)
    parser.add_argument("host", nargs="?", help=OPTIONS["host"].help)
    return parser


def _add(parser: argparse.ArgumentParser, attribute: str, option: Option) -> None:
    names = [f"-{option.short}"] * bool(option.short) + [f"--{option.name}"]
    if option.kind is OptionKind.FLAG:
        parser.add_argument(
            *names, dest=attribute, nargs="?", const="true", metavar="true|false", help=option.help
        )
        parser.add_argument(
            f"--no-{option.name}", dest=attribute, action="store_const", const="false",
            help=argparse.SUPPRESS,
        )  # fmt: skip
    else:
        help_ = option.help.replace("%", "%%")
        parser.add_argument(*names, dest=attribute, metavar=option.kind.value.upper(), help=help_)


def _joined(arguments: Sequence[str]) -> list[str]:
    """A flag takes no word after it for its value: "--insecure localhost:1" names a host."""
    flags = {f"--{o.name}" for o in OPTIONS.values() if o.kind is OptionKind.FLAG}
    flags |= {f"-{o.short}" for o in OPTIONS.values() if o.kind is OptionKind.FLAG and o.short}
    joined: list[str] = []
    words = iter(arguments)
    for word in words:
        if word not in flags:
            joined.append(word)
        elif word.startswith("--"):
            joined.append(f"{word}=true")
        else:
            joined.append(f"{word}true")
    return joined


def read_options(arguments: Sequence[str]) -> GhzOptions:
    """
    What the words after `kuji ghz` ask for; a flag wins over a file.

    Raises:
        OperatorError: They ask for something that ghz does not know, or for nonsense.
        SystemExit: They asked for help, which was printed.
    """
    given = vars(_parser().parse_args(_joined(arguments)))
    config = given.pop("config")
    values: dict[str, Any] = read_config(Path(config)) if config else {}
    for attribute, text in given.items():
        if text is not None:
            option = OPTIONS[attribute]
            read = flag_value_of if option.as_flag else value_of
            values[attribute] = read(option, text)
    return GhzOptions(**values)

"""
Lua scripts from files.

`--@include name` stands for lua/include/<name>.lua, `--@layout` for declarations of the names that
the script uses: those of layout.py, and KEY_<name> for each of its keys, as its header lists them:
first those of a pool, then the others.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.pool.store.layout import LUA_NAMES

_FOLDER = Path(__file__).with_name("lua")
_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)
_KEY = re.compile(r"^KEYS\[(\d+)\] \w+ +\{p:<id>\}:([\w:]+)", re.MULTILINE)
_OTHER_KEY = re.compile(r"^KEYS\[(\d+)\] \w+ +(kuji:[\w:]+)", re.MULTILINE)
_NAME = re.compile(r"\b[A-Z][A-Z0-9_]+\b")
_NO_CODE = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
_DECLARED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Script:
    """
    A script as it is sent.

    Args:
        source: With its includes in place.
        keys: Which keys of a pool it takes, in order; see keys.py.
        other_keys: Which it takes after them, where they need not share a slot; else it has none.
    """

    source: str
    keys: tuple[str, ...]
    other_keys: tuple[str, ...] = ()


def load_script(name: str) -> Script:
    """lua/<name>.lua."""
    return assemble((_FOLDER / f"{name}.lua").read_text("utf-8"))


def assemble(text: str) -> Script:
    """The script that *text* is, or begins with."""
    header = text.partition("]]")[0]
    keys, other_keys = _listed(_KEY, header), _listed(_OTHER_KEY, header)
    whole = _INCLUDE.sub(_included, text)
    declared = _declarations(whole, [*keys, *other_keys])
    return Script(whole.replace("--@layout", declared, 1), keys, other_keys)


def _listed(pattern: re.Pattern[str], header: str) -> tuple[str, ...]:
    found = sorted(pattern.findall(header), key=lambda place_and_key: int(place_and_key[0]))
    return tuple(key for _, key in found)


def _included(match: re.Match[str]) -> str:
    return (_FOLDER / "include" / f"{match[1]}.lua").read_text("utf-8")


def _declarations(source: str, keys: Sequence[str]) -> str:
    known = {name: _literal(value) for name, value in LUA_NAMES.items()}
    known |= {_key_name(key): f"KEYS[{place}]" for place, key in enumerate(keys, start=1)}
    used = sorted(set(_NAME.findall(_NO_CODE.sub("", source))) & known.keys())
    return "\n".join(_lines(used, known))


def _lines(used: Sequence[str], known: Mapping[str, str]) -> Iterator[str]:
    for at in range(0, len(used), _DECLARED_AT_ONCE):
        names = used[at : at + _DECLARED_AT_ONCE]
        yield f"local {', '.join(names)} = {', '.join(known[name] for name in names)}"


def _literal(value: int | str) -> str:
    return f"'{value}'" if isinstance(value, str) else str(int(value))


def _key_name(key: str) -> str:
    return f"KEY_{key.upper().replace(':', '_')}"

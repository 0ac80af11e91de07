"""The scripts and the code beside them say the same, and each thing once."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.pool.rule.terms import ConfigureCode, DrawCode
from services.pool.store import scripts
from services.pool.store.keys import ALL, BLOCKS
from services.pool.store.layout import LUA_NAMES, EntryField, StateField
from services.pool.store.scripts import assemble, load_script

LUA = Path(scripts.__file__).with_name("lua")
FILES = sorted(LUA.rglob("*.lua"))
ROOT = Path(__file__).parents[4]
SOURCES = [
    file
    for part in ("services", "ops", "stack", "demo")
    for file in sorted((ROOT / part).rglob("*.py"))
]
STORE = ROOT / "services" / "pool" / "store"
# What else speaks MessagePack, and of what.
PACKERS = {
    STORE / "layout.py",
    STORE / "redis_store.py",  # intents and replies of the scripts
    ROOT / "services" / "pool" / "ledger" / "entries.py",
    ROOT / "services" / "pool" / "rule" / "replay.py",  # what links are over
}
HASH_COMMANDS = {"hget", "hset", "hmget", "hdel", "hincrby", "hexists", "xadd"}


def _header(name: str) -> str:
    return (LUA / f"{name}.lua").read_text().partition("]]")[0]


def _code(file: Path) -> str:
    return re.sub(r"--\[\[.*?\]\]|--[^\n]*", "", file.read_text(), flags=re.DOTALL)


def _places(files: list[Path], pattern: str) -> list[str]:
    return [
        f"{file.name}: {line.strip()}"
        for file in files
        for line in _code(file).splitlines()
        if re.search(pattern, line)
    ]


def _calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield name, node


@pytest.mark.parametrize(
    ("name", "codes"), [("draw", DrawCode), ("configure", ConfigureCode)], ids=["draw", "configure"]
)
def test_codes_are_the_same_in_a_header_and_python(
    name: str, codes: type[DrawCode] | type[ConfigureCode]
) -> None:
    """A code that only one side knows would be answered as a defect."""
    in_header = re.findall(r"\{(-?\d+) ([A-Z_]+)", _header(name))
    assert {code.name: code.value for code in codes} == {n: int(v) for v, n in in_header}


@pytest.mark.parametrize("name", ["draw", "configure", "void", "skip", "opening"])
def test_script_is_whole_when_its_includes_are_in_place(name: str) -> None:
    """No include is left over, none comes twice, and its keys are a pool's."""
    included = re.findall(r"^--@include (\w+)$", (LUA / f"{name}.lua").read_text(), re.MULTILINE)
    script = load_script(name)
    assert "--@" not in script.source
    assert sorted(set(included)) == sorted(included)
    assert set(script.keys) <= set(ALL)


def test_script_declares_the_names_that_it_uses_and_no_others() -> None:
    """Places and codes come by name, from one definition; keys in the order of the header."""
    script = assemble(
        "--[[ KEYS[1] hash x\n"
        "KEYS[1] hash    {p:<id>}:state  USER_DAY in a comment\n"
        "KEYS[2] stream  {p:<id>}:req:0  ]]\n"
        "--@layout\n"
        "return redis.call('HGET', KEY_STATE, STATE_SEQ), KEY_REQ_0, USER_LAST_MS\n"
    )
    assert ("state", "req:0") == script.keys
    assert (
        "local KEY_REQ_0, KEY_STATE, STATE_SEQ, USER_LAST_MS = KEYS[2], KEYS[1], 'seq', 1"
        in script.source.splitlines()
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_script_file_stays_readable(file: Path) -> None:
    """A Lua file is one subject of about 80 lines."""
    assert len(file.read_text().splitlines()) <= 85
    assert all(len(line) <= 100 for line in file.read_text().splitlines())


def test_scripts_say_no_place_key_field_or_code_themselves() -> None:
    """They say the names of layout.py; a number would be a second definition."""
    fields = "|".join([*StateField, *EntryField])
    assert [] == _places(FILES, r"(?<!ARGV)(?<!time)\[\d+\]")
    assert [] == _places(FILES, rf"'({fields})'")
    assert [] == _places(FILES, r"\{ -\d")
    assert [] == _places(FILES, r"\b(?!1000000\b)\d{5}")


def test_scripts_use_no_name_that_nothing_declares() -> None:
    """Lua would take it for nil."""
    known = (
        LUA_NAMES.keys()
        | {"KEYS", "ARGV"}
        | {f"KEY_{name.upper().replace(':', '_')}" for name in [*ALL, BLOCKS]}
    )
    used = {name for file in FILES for name in re.findall(r"\b[A-Z][A-Z0-9_]+\b", _code(file))}
    commands = {name for file in FILES for name in re.findall(r"call\('([A-Z]+)'", _code(file))}
    assert set() == used - known - commands


def test_key_names_stand_in_one_module() -> None:
    """Everybody else says the constants of keys.py."""
    spelled = [file.name for file in SOURCES if re.search(r"\{+p:(\{|%)", file.read_text())]
    assert ["keys.py"] == spelled
    written = [
        f"{file}:{call.lineno}"
        for file in SOURCES
        for name, call in _calls(file)
        if name == "key"
        and len(call.args) > 1
        and not isinstance(call.args[1], ast.Name | ast.Attribute)
    ]
    assert [] == written


def test_fields_and_packings_stand_in_one_module() -> None:
    """Nobody else writes a field's name, or packs what is in Redis."""
    named = [
        f"{file}:{call.lineno}"
        for file in SOURCES
        for name, call in _calls(file)
        if name in HASH_COMMANDS
        and any(
            isinstance(part, ast.Constant) and part.value in [*StateField, *EntryField]
            for part in ast.walk(call)
        )
    ]
    assert [] == named
    packers = {
        file
        for file in SOURCES
        if re.search(r"^import msgpack|^from msgpack", file.read_text(), re.MULTILINE)
    }
    assert packers <= PACKERS

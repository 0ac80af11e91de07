"""The scripts and the code beside them say the same."""

import re
from pathlib import Path

import pytest

from services.pool.rule.terms import ConfigureCode, DrawCode
from services.pool.store import scripts
from services.pool.store.scripts import load_script

LUA = Path(scripts.__file__).with_name("lua")
FILES = sorted(LUA.rglob("*.lua"))


def _header(name: str) -> str:
    return (LUA / f"{name}.lua").read_text().partition("]]")[0]


def test_draw_codes_are_the_same_in_lua_header_and_python() -> None:
    """A code that only one side knows would be answered as a defect."""
    constants = (LUA / "include" / "codes.lua").read_text()
    declared: dict[str, int] = {}
    for names, values in re.findall(r"^local ([A-Z_, ]+) = ([-\d, ]+)$", constants, re.MULTILINE):
        declared |= dict(zip(names.split(", "), map(int, values.split(", ")), strict=True))
    assert {code.name: code.value for code in DrawCode} == declared
    in_header = re.findall(r"\{(-?\d+) ([A-Z_]+)", _header("draw"))
    assert {code.name: code.value for code in DrawCode} == {n: int(v) for v, n in in_header}


def test_configure_codes_are_the_same_in_header_and_python() -> None:
    """Likewise."""
    in_header = re.findall(r"\{(-?\d+) ([A-Z_]+)", _header("configure"))
    assert {code.name: code.value for code in ConfigureCode} == {n: int(v) for v, n in in_header}


@pytest.mark.parametrize("name", ["draw", "configure", "void"])
def test_script_is_whole_when_its_includes_are_in_place(name: str) -> None:
    """No include is left over, and none comes twice."""
    included = re.findall(r"^--@include (\w+)$", (LUA / f"{name}.lua").read_text(), re.MULTILINE)
    assert "--@include" not in load_script(name)
    assert sorted(set(included)) == sorted(included)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_script_file_stays_readable(file: Path) -> None:
    """A Lua file is one subject of about 80 lines."""
    assert len(file.read_text().splitlines()) <= 85

"""Lua scripts from files: `--@include name` stands for lua/include/<name>.lua."""

import re
from pathlib import Path

_FOLDER = Path(__file__).with_name("lua")
_INCLUDE = re.compile(r"^--@include (\w+)$", re.MULTILINE)


def load_script(name: str) -> str:
    """The source of lua/<name>.lua with its includes in place."""

    def included(match: re.Match[str]) -> str:
        return (_FOLDER / "include" / f"{match[1]}.lua").read_text()

    return _INCLUDE.sub(included, (_FOLDER / f"{name}.lua").read_text())

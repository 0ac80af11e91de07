"""A template's text, cut into text and the tokens of its actions."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ops.ghz.templates.errors import TemplateError

_ACTION = re.compile(
    r"""\{\{(-\s)?((?:/\*.*?\*/|`[^`]*`|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|(?!\}\}).)*?)"""
    r"""(\s-)?\}\}""",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<raw>`[^`]*`)
      | (?P<char>'(?:\\.[^']*|[^'\\\n])')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
                  |(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
      | (?P<field>\.[^\W\d]\w*)
      | (?P<variable>\$\w*)
      | (?P<word>[^\W\d]\w*)
      | (?P<mark>:=|[.()|,=])""",
    re.VERBOSE,
)
_GO_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{3}|U[0-9a-fA-F]{8}|[av'])")


@dataclass(frozen=True)
class Token:
    """A word of an action; *is_apart*: there is space before it."""

    kind: str
    text: str
    is_apart: bool


@dataclass(frozen=True)
class Action:
    """What stands between {{ and }}."""

    source: str
    tokens: tuple[Token, ...]


def cut(source: str) -> Iterator[str | Action]:
    """The parts in order: text, trimmed where a {{- or -}} asks for it, and actions."""
    place, trims = 0, False
    for found in _ACTION.finditer(source):
        text = source[place : found.start()]
        text = text.lstrip() if trims else text
        yield text.rstrip() if found[1] else text
        place, trims = found.end(), bool(found[3])
        inner = found[2].strip()
        if inner.startswith("/*") and inner.endswith("*/"):
            continue
        yield Action(inner, tuple(_tokens(inner)))
    rest = source[place:]
    if "{{" in rest:
        raise TemplateError(f"template: unclosed action in {rest[rest.index('{{') :][:40]!r}")
    yield rest.lstrip() if trims else rest


def _tokens(action: str) -> Iterator[Token]:
    place, is_apart = 0, True
    while place < len(action):
        found = _TOKEN.match(action, place)
        if found is None or found.lastgroup is None:
            raise TemplateError(f"template: unexpected {action[place]!r} in {{{{{action}}}}}")
        if found.lastgroup != "space":
            yield Token(found.lastgroup, found[0], is_apart)
        is_apart = found.lastgroup == "space"
        place = found.end()


def unquote(token: Token) -> str | int | float:
    """The value of a literal."""
    try:
        if token.kind == "raw":
            return token.text[1:-1]
        if token.kind == "string":
            return str(json.loads(_GO_ESCAPE.sub(_json_escape, token.text), strict=False))
        if token.kind == "char":
            inner = token.text[1:-1].replace('"', '\\"')
            return ord(json.loads(_GO_ESCAPE.sub(_json_escape, f'"{inner}"')))
        return _number(token.text.replace("_", ""))
    except (ValueError, TypeError):
        raise TemplateError(f"template: bad literal {token.text}") from None


def _json_escape(found: re.Match[str]) -> str:
    what = found[1]
    if what[0] in "xU":
        return json.dumps(chr(int(what[1:], 16)))[1:-1]
    if what[0] in "av'":
        return {"a": "\\u0007", "v": "\\u000b", "'": "'"}[what[0]]
    return json.dumps(chr(int(what, 8)))[1:-1]


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return int(text, 8) if re.fullmatch(r"[+-]?0\d+", text) else int(text)
    except ValueError:
        return float(text)

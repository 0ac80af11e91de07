"""The parts of a template become a tree."""

from collections.abc import Iterator

from ops.ghz.templates.errors import TemplateError
from ops.ghz.templates.lexer import Action, Token, cut, unquote
from ops.ghz.templates.nodes import (
    Branch,
    Call,
    Leave,
    Literal,
    Operand,
    Output,
    Part,
    Path,
    PipedCommands,
)

_CONSTANTS = {"true": True, "false": False, "nil": None}
_BRANCHES = {"if", "with", "range"}
_NOT_HERE = {"define", "template", "block"}


def parse(source: str) -> list[Part]:
    """The tree of a template; TemplateError where it is none, or needs what is not here."""
    return _Parser(cut(source)).whole()


class _Parser:
    def __init__(self, parts: Iterator[str | Action]) -> None:
        self._parts = parts

    def whole(self) -> list[Part]:
        body, end = self._body()
        if end is not None:
            raise TemplateError(f"template: unexpected {{{{{end.source}}}}}")
        return body

    def _body(self) -> tuple[list[Part], Action | None]:
        """What comes before an end, an else, or the end of all; and which it is."""
        body: list[Part] = []
        for part in self._parts:
            if isinstance(part, str):
                body.extend([part] if part else [])
                continue
            word = part.tokens[0].text if part.tokens else ""
            if word in {"end", "else"}:
                return body, part
            body.append(self._statement(word, part))
        return body, None

    def _statement(self, word: str, action: Action) -> Part:
        if word in _NOT_HERE:
            raise TemplateError(f"template: {{{{{word}}}}} is not supported")
        if word in {"break", "continue"}:
            return Leave(word)
        if word in _BRANCHES:
            return self._branch(word, action.tokens[1:], action)
        return Output(_pipeline(action.tokens, action))

    def _branch(self, word: str, tokens: tuple[Token, ...], action: Action) -> Branch:
        branch = Branch(word, _pipeline(tokens, action))
        branch.body, end = self._body()
        if end is not None and end.tokens[0].text == "else":
            branch.otherwise, end = self._else(end)
        if end is None:
            raise TemplateError(f"template: no {{{{end}}}} for {{{{{action.source}}}}}")
        return branch

    def _else(self, action: Action) -> tuple[list[Part], Action | None]:
        """{{else}}, or {{else if …}} and {{else with …}}, which share the {{end}}."""
        if len(action.tokens) == 1:
            return self._body()
        word = action.tokens[1].text
        if word not in {"if", "with"}:
            raise TemplateError(f"template: unexpected {{{{{action.source}}}}}")
        return [self._branch(word, action.tokens[2:], action)], action


def _pipeline(tokens: tuple[Token, ...], action: Action) -> PipedCommands:
    reader = _Reader(tokens, action)
    found = reader.pipeline()
    reader.finish()
    return found


class _Reader:
    """Reads the tokens of one action."""

    def __init__(self, tokens: tuple[Token, ...], action: Action) -> None:
        self._tokens, self._action, self._at = tokens, action, 0

    def pipeline(self) -> PipedCommands:
        variables, declares = self._variables()
        commands = [self._command()]
        while self._take("|"):
            commands.append(self._command())
        return PipedCommands(tuple(commands), variables, declares)

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise self._unexpected()

    def _variables(self) -> tuple[tuple[str, ...], bool]:
        """`$a := `, `$a = ` or `$i, $a := `, where the pipeline begins so."""
        before, names = self._at, []
        while (token := self._next()) is not None and token.kind == "variable":
            names.append(token.text)
            self._at += 1
            if not self._take(","):
                break
        if names and (self._take(":=") or self._take("=")):
            return tuple(names), self._tokens[self._at - 1].text == ":="
        self._at = before
        return (), True

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while (token := self._next()) is not None and token.text not in {"|", ")"}:
            if operands and not token.is_apart and token.text != "(":
                raise self._unexpected()
            operands.append(self._operand(token))
        if not operands:
            raise TemplateError(f"template: missing value in {{{{{self._action.source}}}}}")
        return tuple(operands)

    def _operand(self, token: Token) -> Operand:
        self._at += 1
        if token.kind in {"string", "raw", "char", "number"}:
            return Literal(unquote(token))
        if token.kind == "word":
            if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            return Call(token.text)
        if token.kind == "field":
            return Path(None, (token.text[1:], *self._fields()))
        if token.kind == "variable":
            return Path(token.text, self._fields())
        if token.text == ".":
            return Path(None)
        if token.text == "(":
            inner = self.pipeline()
            if not self._take(")"):
                raise TemplateError(f"template: unclosed ( in {{{{{self._action.source}}}}}")
            return Path(inner, self._fields())
        self._at -= 1
        raise self._unexpected()

    def _fields(self) -> tuple[str, ...]:
        names = []
        while (token := self._next()) is not None and token.kind == "field":
            if token.is_apart:
                break
            names.append(token.text[1:])
            self._at += 1
        return tuple(names)

    def _next(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, mark: str) -> bool:
        token = self._next()
        if token is None or token.kind != "mark" or token.text != mark:
            return False
        self._at += 1
        return True

    def _unexpected(self) -> TemplateError:
        text = self._tokens[self._at].text
        return TemplateError(f"template: unexpected {text} in {{{{{self._action.source}}}}}")

"""A tree becomes a function from call data to text; what is constant is reckoned once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.ghz.templates.errors import TemplateError
from ops.ghz.templates.functions import Function
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
from ops.ghz.templates.parser import parse
from ops.ghz.templates.text import value_text

_MOST_ROUNDS = 1_000_000


@dataclass
class Scope:
    """What a part sees: the dot and the variables."""

    dot: Any
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Value:
    """How to reckon a value; a constant needs no scope."""

    reckon: Callable[[Scope], Any]
    is_constant: bool = False


class _Break(Exception):  # noqa: N818
    pass


class _Continue(Exception):  # noqa: N818
    pass


_Writer = Callable[[Scope, list[str]], None]


class Template:
    """
    A template that was parsed.

    Attributes:
        has_action: Whether it has a {{pipeline}} outside any if, with and range: only then does
            ghz apply it.
    """

    def __init__(self, source: str, functions: Mapping[str, Function]) -> None:
        parts = parse(source)
        self.has_action = any(isinstance(part, Output) for part in parts)
        self._writers = list(_Compiler(functions).writers(parts))

    def apply(self, data: Mapping[str, object]) -> str:
        """The text for *data*."""
        out: list[str] = []
        scope = Scope(_Root(data))
        scope.variables["$"] = scope.dot
        for write in self._writers:
            write(scope, out)
        return "".join(out)


class _Root(dict[str, object]):
    """Call data: a field that it does not have is an error, not a missing value."""


class _Compiler:
    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions

    def writers(self, parts: list[Part]) -> Iterator[_Writer]:
        for part in parts:
            if isinstance(part, str):
                yield _text_writer(part)
            elif isinstance(part, Output):
                yield self._output(part.pipeline)
            elif isinstance(part, Leave):
                yield _leaver(part)
            else:
                yield self._branch(part)

    def _output(self, pipeline: PipedCommands) -> _Writer:
        value = self._pipeline(pipeline)

        def write(scope: Scope, out: list[str]) -> None:
            found = value.reckon(scope)
            if not pipeline.variables:
                out.append(value_text(found))

        return write

    def _branch(self, branch: Branch) -> _Writer:
        value = self._pipeline(branch.pipeline)
        body = list(self.writers(branch.body))
        otherwise = list(self.writers(branch.otherwise))
        if branch.kind == "range":
            return _ranger(value, branch.pipeline.variables, body, otherwise)

        def write(scope: Scope, out: list[str]) -> None:
            inner = Scope(scope.dot, _Nested(scope.variables))
            found = value.reckon(inner)
            if found and branch.kind == "with":
                inner.dot = found
            for each in body if found else otherwise:
                each(inner, out)

        return write

    def _pipeline(self, pipeline: PipedCommands) -> _Value:
        value: _Value | None = None
        for command in pipeline.commands:
            value = self._command(command, value)
        assert value is not None
        if len(pipeline.variables) != 1:
            return value
        return _setting(pipeline.variables[0], pipeline.declares, value)

    def _command(self, operands: tuple[Operand, ...], piped: _Value | None) -> _Value:
        first, *rest = operands
        arguments = [self._operand(each) for each in rest] + ([piped] if piped else [])
        if isinstance(first, Call):
            return self._call(first.name, arguments)
        if arguments:
            raise TemplateError("template: an argument is given to what is no function")
        if first == Literal(None):
            raise TemplateError("template: nil is not a command")
        return self._operand(first)

    def _call(self, name: str, arguments: list[_Value]) -> _Value:
        if name in {"and", "or"} and name in self._functions:
            return _shortened(name, arguments)
        function = self._functions.get(name)
        if function is None:
            raise TemplateError(f'template: function "{name}" not defined')
        function.check(len(arguments))
        call = function.call
        reckoners = [each.reckon for each in arguments]

        def reckon(scope: Scope) -> Any:
            try:
                return call(*[each(scope) for each in reckoners])
            except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
                raise TemplateError(f"template: {name}: {error}") from None

        if function.is_pure and all(each.is_constant for each in arguments):
            return _constant(reckon(Scope(None)))
        return _Value(reckon)

    def _operand(self, operand: Operand) -> _Value:
        if isinstance(operand, Literal):
            return _constant(operand.value)
        if isinstance(operand, Call):
            return self._call(operand.name, [])
        return self._path(operand)

    def _path(self, path: Path) -> _Value:
        if isinstance(path.start, PipedCommands):
            start = self._pipeline(path.start)
        elif path.start is None:
            start = _Value(lambda scope: scope.dot)
        else:
            start = _variable(path.start)
        if not path.fields:
            return start

        def reckon(scope: Scope) -> Any:
            value = start.reckon(scope)
            for name in path.fields:
                value = _field_of(value, name)
            return value

        return _Value(reckon)


class _Nested(dict[str, Any]):
    """Variables of an inner part: what it declares is its own, what it sets is the outer's."""

    def __init__(self, outer: dict[str, Any]) -> None:
        super().__init__()
        self._outer = outer

    def __missing__(self, name: str) -> Any:
        return self._outer[name]

    def assign(self, name: str, value: Any) -> None:
        _assign(self if name in self else self._outer, name, value)


def _assign(variables: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(variables, _Nested) and name not in variables:
        variables.assign(name, value)
    elif name not in variables:
        raise TemplateError(f"template: undefined variable {name}")
    else:
        variables[name] = value


def _constant(value: object) -> _Value:
    return _Value(lambda _: value, is_constant=True)


def _variable(name: str) -> _Value:
    def reckon(scope: Scope) -> Any:
        try:
            return scope.variables[name]
        except KeyError:
            raise TemplateError(f"template: undefined variable {name}") from None

    return _Value(reckon)


def _setting(name: str, declares: bool, value: _Value) -> _Value:
    def reckon(scope: Scope) -> Any:
        found = value.reckon(scope)
        if declares:
            scope.variables[name] = found
        else:
            _assign(scope.variables, name, found)
        return found

    return _Value(reckon)


def _shortened(name: str, arguments: list[_Value]) -> _Value:
    """`and` and `or` reckon no more than they need."""
    if not arguments:
        raise TemplateError(f"template: {name} needs an argument")
    stops_at = name == "or"

    def reckon(scope: Scope) -> Any:
        found: Any = None
        for each in arguments:
            found = each.reckon(scope)
            if bool(found) is stops_at:
                break
        return found

    return _Value(reckon)


def _field_of(value: Any, name: str) -> Any:
    if isinstance(value, _Root):
        if name not in value:
            raise TemplateError(f"template: call data has no field {name}")
        return value[name]
    if isinstance(value, dict):
        return value.get(name)
    raise TemplateError(f"template: {value_text(value)} has no field {name}")


def _text_writer(text: str) -> _Writer:
    return lambda _, out: out.append(text)


def _leaver(part: Leave) -> _Writer:
    def leave(*_: object) -> None:
        raise _Break if part.kind == "break" else _Continue

    return leave


def _ranger(
    value: _Value, names: tuple[str, ...], body: list[_Writer], otherwise: list[_Writer]
) -> _Writer:
    def write(scope: Scope, out: list[str]) -> None:
        pairs = _pairs(value.reckon(Scope(scope.dot, _Nested(scope.variables))))
        if not pairs:
            for each in otherwise:
                each(Scope(scope.dot, _Nested(scope.variables)), out)
        for key, element in pairs:
            inner = Scope(element, _Nested(scope.variables))
            inner.variables.update(zip(names[::-1], (element, key), strict=False))
            try:
                for each in body:
                    each(inner, out)
            except _Continue:
                continue
            except _Break:
                break

    return write


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if value is None:
        return []
    if isinstance(value, bool) or not isinstance(value, (int, list, tuple, dict)):
        raise TemplateError(f"template: range can't iterate over {value_text(value)}")
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    elements = range(value) if isinstance(value, int) else value
    if len(elements) > _MOST_ROUNDS:
        raise TemplateError(f"template: range over {len(elements)} is more than {_MOST_ROUNDS}")
    return list(enumerate(elements))

"""What a parsed template is made of."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Literal:
    """A constant."""

    value: object


@dataclass(frozen=True)
class Call:
    """A function by its name."""

    name: str


@dataclass(frozen=True)
class Path:
    """Fields of a start: the dot (None), a variable (its name) or a pipeline in parentheses."""

    start: "str | PipedCommands | None"
    fields: tuple[str, ...] = ()


Operand = Literal | Call | Path


@dataclass(frozen=True)
class PipedCommands:
    """Commands, each a list of operands; the value of each is the last argument of the next."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = True


@dataclass(frozen=True)
class Output:
    """{{pipeline}}"""

    pipeline: PipedCommands


@dataclass
class Branch:
    """if, with or range: what is done, what else."""

    kind: str
    pipeline: PipedCommands
    body: "list[Part]" = field(default_factory=list)
    otherwise: "list[Part]" = field(default_factory=list)


@dataclass(frozen=True)
class Leave:
    """break or continue."""

    kind: str


Part = str | Output | Branch | Leave

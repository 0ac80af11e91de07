"""What an examination says, and where it sends its reader."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

RUNBOOK = "docs/runbook.md"
OPERATIONS = "docs/operations.md"


class Grade(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    UNKNOWN = "not looked at"


class Symptom(NamedTuple):
    """
    One thing that was seen.

    Args:
        grade: How bad it is.
        sentence: What is so, without a secret.
        why: Why it matters; "": nothing is to be done.
        next_step: A command, or the place in the documents that says what to do.
    """

    grade: Grade
    sentence: str
    why: str = ""
    next_step: str = ""


class Examined(NamedTuple):
    """What a check has seen; nothing: there is no such thing in this installation."""

    area: str
    name: str
    symptoms: Sequence[Symptom]


def well(sentence: str) -> Symptom:
    """Nothing is to be done."""
    return Symptom(Grade.OK, sentence)


def warning(sentence: str, why: str, next_step: str) -> Symptom:
    """It works, and will not for ever."""
    return Symptom(Grade.WARNING, sentence, why, next_step)


def wrong(sentence: str, why: str, next_step: str) -> Symptom:
    """A promise does not hold, or a part does not work."""
    return Symptom(Grade.WRONG, sentence, why, next_step)


def unknown(sentence: str) -> Symptom:
    """It could not be looked at, and why."""
    return Symptom(Grade.UNKNOWN, sentence)


def runbook(anchor: str) -> str:
    """Where the runbook says what to do."""
    return f"{RUNBOOK}#{anchor}"

"""What users were answered, written down as it comes: each of it must be in Postgres afterwards."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO


class DrawAnswer(NamedTuple):
    """A lottery draw that was answered; *prize_id* 0, *prize_code* empty: a miss."""

    user_id: int
    request_id: str
    draw_id: str
    prize_id: int
    prize_code: str


class SoldOutAnswer(NamedTuple):
    """A request for a draw that was told that nothing is left: it has drawn nothing."""

    user_id: int
    request_id: str


class OrderAnswer(NamedTuple):
    """An item that an order or a card was answered with."""

    order_id: int
    goods_item_id: int
    prize_code: str


class AccountAnswer(NamedTuple):
    """A registration that was answered."""

    user_id: int
    username: str


_KINDS = {
    "draw": DrawAnswer,
    "sold_out": SoldOutAnswer,
    "order": OrderAnswer,
    "account": AccountAnswer,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
Answer = DrawAnswer | SoldOutAnswer | OrderAnswer | AccountAnswer


class AnswerBook:
    """Answers of this process's users, in a file of *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: TextIO | None = None

    def note(self, answer: Answer) -> None:
        """Write down *answer*."""
        if self._file is None:  # not before: a process that forks has users in its children alone
            self._file = (self._folder / f"answers-{os.getpid()}.jsonl").open("a", buffering=1)
        self._file.write(json.dumps([_NAMES[type(answer)], *answer]) + "\n")


def write_answers(folder: Path, name: str, answers: Iterable[Answer]) -> None:
    """Write *answers* down all at once, in a file of *folder* that is theirs alone."""
    lines = (json.dumps([_NAMES[type(answer)], *answer]) + "\n" for answer in answers)
    (folder / f"answers-{name}.jsonl").write_text("".join(lines), "utf-8")


def read_answers(folder: Path) -> Iterator[Answer]:
    """All that was written down; a line that a killed process left unfinished is no answer."""
    for file in sorted(folder.glob("answers-*.jsonl")):
        for line in file.read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                kind, *fields = json.loads(line)
                yield _made(kind, fields)


def _made(kind: str, fields: list[Any]) -> Answer:
    answer: Answer = _KINDS[kind](*fields)
    return answer

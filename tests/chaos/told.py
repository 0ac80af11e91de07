"""What callers of a stack under faults were told, and what of it nobody may be told."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp

from demo.client import Edge, EdgeError, Json

OK = "OK"
SOLD_OUT = "200 SOLD_OUT"
_TRUE = frozenset({OK, "503 UNAVAILABLE", "503 OVERLOADED"})
# What is right at its place: a box is empty; an edit met one that the recorder has yet to settle.
_TRUE_HERE = frozenset({("order", SOLD_OUT), ("edit", "409 CONFLICT")})
NO_ANSWER = "no answer"
# Whom a kind of call asks; all others ask the edge.
_ASKED = {"batch": "draw"}


class Answer(NamedTuple):
    """OK and the data, or what was told instead."""

    what: str
    data: Any


@dataclass
class Told:
    """
    What a crowd was told.

    Args:
        answers: How often a kind of call was told what.
        longest_s: By kind: from the first attempt of a call to its answer.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    longest_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def succeeded(self, kind: str) -> int:
        """How many calls of this kind were answered."""
        return self.answers[kind, OK]

    def waited(self, kind: str, since: float) -> None:
        """Note that a call begun at *since*, by time.monotonic(), has its answer."""
        self.longest_s[kind] = max(self.longest_s[kind], time.monotonic() - since)

    def untrue(self, mute: Container[str], reasons: Container[str]) -> dict[str, int]:
        """
        What nobody may be told.

        Args:
            mute: Parts that may give no answer at all.
            reasons: True as well.
        """
        return {
            f"{kind}: {what}": count
            for (kind, what), count in self.answers.items()
            if what not in _TRUE
            and (kind, what) not in _TRUE_HERE
            and what.rpartition(" ")[2] not in reasons
            and not (_ASKED.get(kind, "envoy") in mute and what.startswith(NO_ANSWER))
        }


class Line:
    """The edge, as somebody calls it who notes what he is told."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.told = Told()

    async def ask(
        self, kind: str, method: str, path: str, token: str = "", body: Json | None = None
    ) -> Answer:
        """What a call of this *kind* is told; *body* is the query of a GET."""
        answer = await self._asked(method, path, token, body)
        self.note(kind, answer.what)
        return answer

    def note(self, kind: str, what: str) -> None:
        """A call of this *kind* was told *what*."""
        self.told.answers[kind, what] += 1

    async def _asked(self, method: str, path: str, token: str, body: Json | None) -> Answer:
        try:
            if method == "GET":
                return Answer(OK, await self._edge.call(method, path, token, query=body))
            return Answer(OK, await self._edge.call(method, path, token, body))
        except EdgeError as error:
            return Answer(f"{error.status} {error.reason}", None)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(f"{NO_ANSWER} ({type(error).__name__})", None)

    async def listen(self, kind: str, path: str, heard: Callable[[Json], None]) -> None:
        """Hear the events of a stream until it ends, or gives none for long; then it is done."""
        try:
            async for event in self._edge.events(path):
                self.note(kind, OK)
                heard(event)
        except EdgeError as error:
            self.note(kind, f"{error.status} {error.reason}")
        except (aiohttp.ClientError, TimeoutError):
            return  # a stream may be cut; who listens comes again

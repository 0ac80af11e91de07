"""What all users of a load test share: their plan, their tokens, their answers."""

import itertools
import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from locust import FastHttpUser
from locust.runners import WorkerRunner

from tests.load.answers import AnswerBook, DrawAnswer, SoldOutAnswer
from tests.load.plan import Plan, read_plan
from tests.load.users.tokens import user_of


@cache
def plan() -> Plan:
    """Of this test."""
    return read_plan()


@cache
def book() -> AnswerBook:
    """Of this process."""
    return AnswerBook(Path(plan().folder))


class Player(NamedTuple):
    """Whom a draw is for."""

    number: int  # of the token, from 0
    user_id: int
    token: str


@cache
def _tokens() -> list[str]:
    return Path(plan().tokens).read_text("utf-8").split()


class Turns:
    """Numbers that no other user of the test is given: each process of it has its own."""

    def __init__(self) -> None:
        self._next = itertools.count()

    def next(self, environment: Any) -> int:  # locust has no types
        """One more."""
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            processes = environment.parsed_options.processes or 1
            return next(self._next) * processes + runner.worker_index
        return next(self._next)


_turns = Turns()


def player_of(number: int) -> Player:
    """The player of a turn; after the last comes the first again."""
    number %= len(_tokens())
    token = _tokens()[number]
    return Player(number, user_of(token), token)


def next_player(environment: Any) -> Player:
    """Another player for each call."""
    return player_of(_turns.next(environment))


def fresh_id() -> str:
    """A request id or order number of this test alone."""
    return f"load-{secrets.token_hex(8)}"


class JsonUser(FastHttpUser):
    """A user of the JSON face, over one kept connection."""

    abstract = True
    host = "set by the command"
    network_timeout = connection_timeout = 30.0

    def ask(
        self,
        method: str,
        path: str,
        name: str = "",
        token: str = "",
        body: dict[str, object] | None = None,
        expected: tuple[str, ...] = (),
    ) -> Any:
        """
        The *data* of the answer; None where it is a failure, which is counted by its reason.

        Args:
            name: The line of the report; empty: the path.
            expected: Reasons of refusals that this test is about: they count as successes.
        """
        headers = {"authorization": f"Bearer {token}"} if token else {}
        with self.client.request(
            method, path, name=name or path, json=body, headers=headers, catch_response=True
        ) as response:
            answer = _envelope(response)
            if answer.get("status") == 1:
                response.success()
                return answer["data"]
            reason = answer.get("reason") or f"no envelope: HTTP {response.status_code}"
            if reason in expected:
                response.success()
            else:
                response.failure(reason)
        return None

    def draw(
        self, player: Player, request_id: str, name: str = ""
    ) -> DrawAnswer | SoldOutAnswer | None:
        """Draw by JSON, and write down what was answered; None: it failed, or may have."""
        body: dict[str, object] = {"activity_id": plan().activity_id, "request_id": request_id}
        path = "/api/lottery/draw"
        data = self.ask("POST", path, name, token=player.token, body=body, expected=_NOT_YET)
        if data is None:
            return None
        answer = _told(player, request_id, data)
        book().note(answer)
        return answer


def _told(player: Player, request_id: str, data: dict[str, Any]) -> DrawAnswer | SoldOutAnswer:
    if data["sold_out"]:
        return SoldOutAnswer(player.user_id, request_id)
    prize = data["prize"] or {"prize_id": 0, "prize_code": ""}
    return DrawAnswer(
        player.user_id, request_id, data["draw_id"], int(prize["prize_id"]), prize["prize_code"]
    )


_NOT_YET = ("ACTIVITY_NOT_ONGOING",)


def _envelope(response: Any) -> dict[str, Any]:
    try:
        answer = json.loads(response.text or "")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}

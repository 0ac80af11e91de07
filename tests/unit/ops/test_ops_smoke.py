"""The smoke test finds what does not hold, tells it, and cleans up."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from ops.connections import Login
from ops.edge import Edge, EdgeError, Json
from ops.smoke import play
from ops.smoke.play import SmokeTest
from ops.smoke.transcript import SmokeError, Transcript

SEED = "5e" * 32
COMMITMENT = hashlib.sha256(bytes.fromhex(SEED)).hexdigest()
ADMIN = Login(username="admin", password="secret")


class Installation(Edge):
    """One that answers well, but for what is spoilt: by the last word of a path, its answer."""

    def __init__(self, **spoilt: Callable[[Json], Any]) -> None:
        self.calls: list[str] = []
        self._spoilt = spoilt
        self._drawn: dict[str, str] = {}

    async def call(
        self, method: str, path: str, token: str = "", body: Any = None, query: Any = None
    ) -> Any:
        """The answer, of an installation with this one activity."""
        path = path.partition("?")[0]
        self.calls.append(f"{method} {path} {(body or {}).get('status', '')}".strip())
        name = path.rpartition("/")[2].replace("-", "_")
        answer = self._answers(name, body or {})
        return self._spoilt[name](answer) if name in self._spoilt else answer

    def _answers(self, name: str, body: Json) -> Json:
        session = {"user_id": "1", "access_token": "a", "refresh_token": "r"}
        counted = {"total": 3, "won": 2, "remaining": 1}
        draws = list(self._drawn.values())
        answers: dict[str, Json] = {
            "login": session,
            "register": session,
            "activities": {"activity_id": "7"},
            "prizes": {"seed_commitment": COMMITMENT, "prizes": [{"prize_id": "8"}]},
            "draw": self._draw(body) if name == "draw" else {},
            "lottery_history": {"records": [{"draw_id": one, "won": True} for one in draws]},
            "global_history": {"winners": [{"draw_id": one} for one in draws]},
            "statistics": {
                "activities": [{"draws": 2, "wins": 2, "books_balance": True, "prizes": [counted]}]
            },
            "verification": {
                "valid": True,
                "seed_commitment": COMMITMENT,
                "seed": SEED,
                "explanation": "",
            },
        }
        return answers.get(name, {})

    def _draw(self, body: Json) -> Json:
        request_id = body["request_id"]
        replayed = request_id in self._drawn
        draw_id = self._drawn.setdefault(request_id, f"7-{len(self._drawn) + 1}")
        return {"draw_id": draw_id, "won": True, "replayed": replayed}


async def played(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the test tells."""
    monkeypatch.setattr(play, "_PATIENCE_S", 0.0)
    lines: list[str] = []
    try:
        await SmokeTest(installation, ADMIN, Transcript(lines.append)).play()
    except SmokeError:
        assert any(line.startswith("✗") for line in lines)
    return lines


def second_person(answer: Json) -> Json:
    """An end waits for a second person."""
    raise EdgeError(409, "APPROVAL_PENDING", "It waits.", {"approval_id": "4"})


async def test_well_installation_is_said_to_be_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is told; the activity is ended, both logins are."""
    installation = Installation()
    lines = await played(installation, monkeypatch)
    assert [True] * 9 == [line.startswith("✓") for line in lines]
    assert "PUT /admin/api/activities/7 ended" in installation.calls
    assert 2 == installation.calls.count("POST /api/auth/logout")


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        ({"draw": lambda answer: {**answer, "won": False}}, "missed, at a chance of 1"),
        ({"draw": lambda answer: {**answer, "replayed": False}}, "request id drew anew"),
        ({"lottery_history": lambda _: {"records": []}}, "the user's history has []"),
        ({"global_history": lambda _: {"winners": []}}, "the winners are []"),
        (
            {
                "statistics": lambda answer: {
                    "activities": [{**answer["activities"][0], "books_balance": False}]
                }
            },
            "the books do not balance",
        ),
        ({"verification": lambda answer: {**answer, "seed": "00" * 32}}, "the seed is not the one"),
    ],
)
async def test_what_does_not_hold_is_told_and_the_activity_ended(
    spoilt: dict[str, Callable[[Json], Any]], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last word is of the step that failed; what was opened is closed."""
    installation = Installation(**spoilt)
    lines = await played(installation, monkeypatch)
    assert 1 == sum(told in line for line in lines if line.startswith("✗"))
    assert "PUT /admin/api/activities/7 ended" in installation.calls


async def test_activity_that_a_second_person_had_to_end_is_paused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is left to approve; time ends it."""

    def end(answer: Json) -> Json:
        return second_person(answer) if installation.calls[-1].endswith(" ended") else answer

    installation = Installation(**{"7": end})
    lines = await played(installation, monkeypatch)
    assert [True] * 9 == [line.startswith("✓") for line in lines]
    at = installation.calls.index("DELETE /admin/api/approvals/4")
    assert "PUT /admin/api/activities/7 paused" == installation.calls[at + 1]

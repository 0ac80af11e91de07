"""
The smoke test's steps.

The activity is open for as long as two draws take: callers who name no activity are refused while
two are open. It ends by time should the command die; what a second person had to approve is
withdrawn, and it is paused instead.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ops.connections import Login
from ops.edge import Edge, EdgeError, Json, asked
from ops.smoke.transcript import SmokeError, Transcript, expect

PREFIX = "Smoke test"
_UNITS = 3
_DRAWS = 2
_LIFE = timedelta(minutes=5)
_PATIENCE_S = 30.0
_POLL_S = 0.1
_END_S = 20.0


class SmokeLogin(NamedTuple):
    """A login."""

    user_id: int
    token: str
    refresh_token: str


class Stage(NamedTuple):
    """The activity that is played."""

    activity_id: int
    name: str
    prize_id: int
    commitment: str


class SmokeTest:
    """
    A smoke test of the installation behind *edge*.

    Args:
        admin: Who makes the activity.
        transcript: Where it is told.
    """

    def __init__(self, edge: Edge, admin: Login, transcript: Transcript) -> None:
        self._edge = edge
        self._admin = admin
        self._step = transcript.step
        self._name = f"{PREFIX} {secrets.token_hex(4)}"

    async def play(self) -> None:
        """
        Play it, and clean up whatever happened.

        Raises:
            SmokeError: A step failed; the transcript has it.
        """
        with self._step("the administrator logs in"):
            admin = await self._log_in("/admin/api/login", self._admin.model_dump())
        try:
            with self._step("a user registers"):
                player = await self._register()
            try:
                await self._play(admin, player)
            finally:
                await self._log_out(player)
        finally:
            await self._log_out(admin)

    async def _play(self, admin: SmokeLogin, player: SmokeLogin) -> None:
        with self._step(f'activity "{self._name}" is made, and opened'):
            activity_id = await self._make(admin)
        try:
            with self._step("its seed is committed to before the first draw"):
                stage = await self._stage(activity_id)
            with self._step(f"{_DRAWS} draws win, and the first, asked for again, is the same"):
                draw_ids = await self._draw(player, stage)
        finally:
            with self._step("it is ended"):
                await self._end(admin, activity_id)
        with self._step("both wins are in the user's history, and in the list of winners"):
            await self._until(lambda: self._is_in_history(player, stage, draw_ids))
        with self._step("the books of the activity balance"):
            await self._until(lambda: self._balances(admin, stage))
        with self._step("each draw is proven, by the seed where that is revealed"):
            for draw_id in draw_ids:
                await self._verify(draw_id, stage)

    async def _call(
        self, method: str, path: str, session: SmokeLogin | None = None, body: Json | None = None
    ) -> Any:  # noqa: ANN401  # as the edge answers
        token = session.token if session else ""
        call = self._edge.call
        return (await asked(lambda: call(method, path, token, body), _PATIENCE_S)).answer

    async def _log_in(self, path: str, credentials: Json) -> SmokeLogin:
        got = await self._call("POST", path, body=credentials)
        return SmokeLogin(int(got["user_id"]), got["access_token"], got["refresh_token"])

    async def _register(self) -> SmokeLogin:
        name = self._name.lower().replace(" ", "-")
        credentials = {"username": name, "password": secrets.token_urlsafe(24)}
        try:
            return await self._log_in("/api/auth/register", credentials)
        except EdgeError as error:
            if error.reason != "USERNAME_TAKEN":
                raise
            return await self._log_in("/api/auth/login", credentials)  # an answer was lost

    async def _log_out(self, session: SmokeLogin) -> None:
        # What is left logged in runs out by itself.
        with suppress(EdgeError, OSError):
            await self._edge.call(
                "POST",
                "/api/auth/logout",
                session.token,
                {"refresh_token": session.refresh_token},
            )

    async def _make(self, admin: SmokeLogin) -> int:
        activity = await self._edge.call(
            "POST",
            "/admin/api/activities",
            admin.token,
            {
                "name": self._name,
                "description": "Made by a test of this installation; nothing can be won.",
                "end_time": (datetime.now(UTC) + _LIFE).isoformat(timespec="seconds"),
            },
        )
        activity_id = int(activity["activity_id"])
        prize = {
            "activity_id": activity_id,
            "name": f"{PREFIX}: no prize",
            "total_count": _UNITS,
            "probability": 1,
        }
        await self._edge.call("POST", "/admin/api/prizes", admin.token, prize)
        path = f"/admin/api/activities/{activity_id}"
        await self._call("PUT", path, admin, {"status": "ongoing"})
        return activity_id

    async def _stage(self, activity_id: int) -> Stage:
        shown = await self._call("GET", f"/api/lottery/prizes?activity_id={activity_id}")
        commitment = shown["seed_commitment"]
        expect(len(commitment) == 64, f"the commitment is {commitment!r}")
        return Stage(activity_id, self._name, int(shown["prizes"][0]["prize_id"]), commitment)

    async def _draw(self, player: SmokeLogin, stage: Stage) -> list[str]:
        draws = [await self._draw_once(player, stage, f"smoke-{n}") for n in range(_DRAWS)]
        again = await self._draw_once(player, stage, "smoke-0")
        expect(again["replayed"], "the same request id drew anew")
        expect(again["draw_id"] == draws[0]["draw_id"], "the same request id gave another draw")
        for draw in draws:
            expect(draw["won"], f"draw {draw['draw_id']} missed, at a chance of 1")
        return [draw["draw_id"] for draw in draws]

    async def _draw_once(self, player: SmokeLogin, stage: Stage, request_id: str) -> Json:
        body = {"activity_id": stage.activity_id, "request_id": request_id}
        drawn: Json = await self._call("POST", "/api/lottery/draw", player, body)
        return drawn

    async def _end(self, admin: SmokeLogin, activity_id: int) -> None:
        async with asyncio.timeout(_END_S):
            path = f"/admin/api/activities/{activity_id}"
            try:
                await self._call("PUT", path, admin, {"status": "ended"})
            except EdgeError as error:
                if error.reason != "APPROVAL_PENDING":
                    raise
                approval_id = error.metadata["approval_id"]
                await self._call("DELETE", f"/admin/api/approvals/{approval_id}", admin)
                await self._call("PUT", path, admin, {"status": "paused"})

    async def _is_in_history(self, player: SmokeLogin, stage: Stage, draw_ids: list[str]) -> None:
        where = f"activity_id={stage.activity_id}"
        own = await self._call("GET", f"/api/user/lottery-history?{where}", player)
        won = {record["draw_id"] for record in own["records"] if record["won"]}
        expect(set(draw_ids) == won, f"the user's history has {sorted(won)}, not {draw_ids}")
        told = await self._call("GET", f"/api/lottery/global-history?{where}")
        listed = {winner["draw_id"] for winner in told["winners"]}
        expect(set(draw_ids) == listed, f"the winners are {sorted(listed)}, not {draw_ids}")

    async def _balances(self, admin: SmokeLogin, stage: Stage) -> None:
        path = f"/admin/api/statistics?activity_id={stage.activity_id}"
        (found,) = (await self._call("GET", path, admin))["activities"]
        (prize,) = found["prizes"]
        counted = (found["draws"], found["wins"], prize["won"], prize["remaining"])
        wanted = (_DRAWS, _DRAWS, _DRAWS, _UNITS - _DRAWS)
        expect(counted == wanted, f"draws, wins, won, left are {counted}, not {wanted}")
        expect(found["books_balance"], "the books do not balance")

    async def _verify(self, draw_id: str, stage: Stage) -> None:
        proof = await self._call("GET", f"/api/lottery/result/{draw_id}/verification")
        expect(proof["valid"], f"{draw_id}: {proof['explanation']}")
        expect(proof["seed_commitment"] == stage.commitment, "the commitment was changed")
        if proof["seed"]:
            seed = bytes.fromhex(proof["seed"])
            kept = hashlib.sha256(seed).hexdigest() == stage.commitment
            expect(kept, "the seed is not the one that was committed to")

    async def _until(self, look: Callable[[], Any]) -> None:
        """Await *look* until it finds nothing amiss; what it found last, after a while."""
        until = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                await look()
            except SmokeError:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                return

"""Users of the lottery: they draw, they look, they listen."""

import datetime as dt
import json
import time

import gevent
from locust import HttpUser, constant_throughput, task

from tests.load.users.player import JsonUser, fresh_id, next_player, plan

_PAUSE_S = 0.2
_ATTEMPTS = 20
_QUIET_S = 30.0  # heartbeats come more often


class Drawer(JsonUser):
    """Draws without a pause, each time for another player; what failed is asked for again."""

    @task
    def draws(self) -> None:
        """A draw, until it is answered: the same request id is the same draw."""
        player, request_id = next_player(self.environment), fresh_id()
        for _ in range(_ATTEMPTS):
            if self.draw(player, request_id) is not None:
                return
            gevent.sleep(_PAUSE_S)


class Latecomer(Drawer):
    """
    Draws forty times a second at most.

    What is sold out is answered faster by the edge than a generator can ask without a pause.
    """

    wait_time = constant_throughput(40)


class Replayer(JsonUser):
    """Draws, and asks for the same draw again: the answer must be the same."""

    @task
    def draws_twice(self) -> None:
        """Once, and once more by the same request id."""
        player, request_id = next_player(self.environment), fresh_id()
        first = self.draw(player, request_id)
        again = self.draw(player, request_id, "/api/lottery/draw again")
        if first and again and first != again:
            raise AssertionError(f"{first} became {again}")


class Opener(JsonUser):
    """Waits for an opening with everybody else; then draws once a second."""

    @task
    def waits_and_draws(self) -> None:
        """All in the same second."""
        gevent.sleep(max(0.0, plan().opens_at - time.time()))
        self.draw(next_player(self.environment), fresh_id())
        gevent.sleep(1.0)


class Visitor(JsonUser):
    """Looks at what everybody sees, and at their own draws."""

    @task(4)
    def looks_at_winners(self) -> None:
        """The page of all winners."""
        self.ask("GET", "/api/lottery/global-history")

    @task(3)
    def looks_at_prizes(self) -> None:
        """What is left."""
        path = "/api/lottery/prizes"
        self.ask("GET", f"{path}?activity_id={plan().activity_id}", path)

    @task(2)
    def looks_at_activities(self) -> None:
        """What there is."""
        self.ask("GET", "/api/lottery/activities")

    @task(1)
    def looks_at_own_draws(self) -> None:
        """Their own."""
        token = next_player(self.environment).token
        self.ask("GET", "/api/user/lottery-history", token=token)


class WinnersReader(JsonUser):
    """Reads the page of winners without a pause."""

    @task
    def looks_at_winners(self) -> None:
        """The page of all winners."""
        self.ask("GET", "/api/lottery/global-history")


class Listener(HttpUser):
    """
    Listens to the winners, as a page does; each that is heard is a line of the report.

    With locust's other client, since that of JsonUser reads no stream line by line.
    """

    host = "set by the command"
    _STAYS_S = 10.0

    @task
    def listens(self) -> None:
        """For a while."""
        path = f"/api/lottery/global-history/stream?activity_id={plan().activity_id}"
        ends = time.monotonic() + self._STAYS_S
        with self.client.get(
            path, name="stream opened", stream=True, catch_response=True, timeout=_QUIET_S
        ) as got:
            if got.status_code != 200:
                got.failure(f"HTTP {got.status_code}")
                return
            got.success()
            for line in got.iter_lines(chunk_size=None):
                if line.startswith(b"data:"):
                    self._heard(json.loads(line[5:]), len(line))
                if time.monotonic() > ends:
                    return

    def _heard(self, winner: dict[str, str], size: int) -> None:
        won_at = dt.datetime.fromisoformat(winner["won_at"]).timestamp()
        self.environment.events.request.fire(
            request_type="SSE",
            name="winner heard (since won)",
            response_time=1000 * max(0.0, time.time() - won_at),
            response_length=size,
            exception=None,
            context={},
        )

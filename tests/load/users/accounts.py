"""Users who come: they register, they log in."""

import random
import secrets

from locust import task

from tests.load.answers import AccountAnswer
from tests.load.users.player import JsonUser, book, plan


class Newcomer(JsonUser):
    """Registers, each time under another name."""

    @task
    def registers(self) -> None:
        """An account."""
        username = f"new_{secrets.token_hex(6)}"
        body: dict[str, object] = {"username": username, "password": secrets.token_urlsafe(12)}
        data = self.ask("POST", "/api/auth/register", body=body)
        if data is not None:
            book().note(AccountAnswer(int(data["user_id"]), username))


class Returner(JsonUser):
    """Logs in as one of the players."""

    @task
    def logs_in(self) -> None:
        """By name and password."""
        number = random.randint(1, plan().players)  # no secret
        body: dict[str, object] = {
            "username": f"{plan().prefix}{number}",
            "password": plan().password,
        }
        data = self.ask("POST", "/api/auth/login", body=body)
        if data is not None:
            book().note(AccountAnswer(int(data["user_id"]), data["username"]))

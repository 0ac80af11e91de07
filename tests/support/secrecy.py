"""Every secret that a run of a stack knows, and where it should not be."""

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from services.common.grants import SERVICES, role_of
from services.pool.seeds import SeedCipher
from stack import databases
from stack.credentials import OPERATOR, Passwords
from stack.home import STORES_SECRET
from stack.parts import USERS_OF_REDIS
from tests.support.stacks import StackUnderTest

# In bodies, whichever way they go.
_NAMES = re.compile(r"password|token|secret|ticket|prize_code|code")
_SHORTEST = 6


class KnownSecrets:
    """Secrets by what they are; httpx tells of those that go through it."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def add(self, what: str, *secrets: object) -> None:
        """Know *secrets*; a token also by its signature, which alone is the secret part of it."""
        for secret in filter(None, map(str, secrets)):
            if len(secret) >= _SHORTEST:
                self._known[secret] = what
            if secret.count(".") == 2:
                self._known[secret.rpartition(".")[2]] = f"signature of {what}"

    async def look(self, response: httpx.Response) -> None:
        """Know what is secret in *response*, and in what it answers; a hook of httpx."""
        request = response.request
        self.add("authorization", request.headers.get("authorization", "").rpartition(" ")[2])
        await request.aread()
        self._look_into(request.content)
        if response.headers.get("content-type", "").startswith("application/json"):
            self._look_into(await response.aread())

    def _look_into(self, body: bytes) -> None:
        try:
            self._look_at(json.loads(body))
        except ValueError:
            return

    def _look_at(self, value: Any) -> None:
        if isinstance(value, list):
            for each in value:
                self._look_at(each)
        elif isinstance(value, dict):
            for name, each in value.items():
                if isinstance(each, str) and _NAMES.search(name):
                    self.add(name, each)
                self._look_at(each)

    async def learn_all(self, stack: StackUnderTest) -> None:
        """Know the secrets of *stack* itself: of its files, its stores, and what is in them."""
        secrets: dict[str, str] = json.loads((stack.home / "secrets.json").read_text())
        for name, secret in secrets.items():
            self.add(name, secret)
        passwords = Passwords(secrets[STORES_SECRET])
        users = (OPERATOR, *USERS_OF_REDIS)
        roles = (databases.OWNER, *map(role_of, SERVICES))
        self.add("password of Valkey", *(passwords.of("valkey", user) for user in users))
        self.add("password of Postgres", *(passwords.of("postgres", role) for role in roles))
        self.add("password of a DSN", urlsplit(stack.postgres).password)
        configuration = (stack.home / "envoy" / "envoy.yaml").read_text()
        self.add("edge secret", *re.findall(r'key: x-kuji-edge, value: "([^"]+)"', configuration))
        await self._learn_stored(stack.postgres, SeedCipher(secrets["KUJI_SEED_KEY"]))

    async def _learn_stored(self, dsn: str, cipher: SeedCipher) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for row in await connection.fetch("SELECT pool_id, encrypted_seed FROM pool_seeds"):
                seed = cipher.decrypt(row["pool_id"], row["encrypted_seed"])
                self.add("seed", seed.hex(), base64.b64encode(seed).decode().rstrip("="))
            won = await connection.fetch("SELECT prize_code FROM winners")
            self.add("prize code", *(row["prize_code"] for row in won))
        finally:
            await connection.close()

    def kinds(self) -> set[str]:
        """What the secrets are that are known."""
        return set(self._known.values())

    def leaks(self, files: Iterable[Path]) -> list[str]:
        """Which kinds of secret are in which of *files*; not the secrets: this may be shown."""
        texts = {file: file.read_text(errors="replace") for file in files}
        return sorted(
            {
                f"{file.name}: {what}"
                for file, text in texts.items()
                for secret, what in self._known.items()
                if secret in text
            }
        )


def logs_of(stack: StackUnderTest) -> list[Path]:
    """All that *stack* has logged."""
    return sorted((stack.home / "logs").iterdir())

"""What the references have in common: who calls, what is asked, what is answered."""

import secrets
from collections.abc import Sequence
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from pydantic_settings import BaseSettings, SettingsConfigDict

ALGORITHM = "HS256"
PATH = "/api/lottery/draw"
_PPB = 1_000_000_000


class ReferenceSettings(BaseSettings):
    """
    Where its stores are.

    Args:
        postgres_dsn: Its database.
        redis_url: Its Redis, where it has one.
        token_secret: What its tokens are signed with.
        connections: To each store, of each process.
    """

    model_config = SettingsConfigDict(env_prefix="REFERENCE_", frozen=True)

    postgres_dsn: str
    redis_url: str = ""
    token_secret: str
    connections: int


settings = ReferenceSettings()  # type: ignore[call-arg]  # from the environment


class Wanted(BaseModel):
    """A draw that is asked for."""

    activity_id: int


class Prize(BaseModel):
    """What was won."""

    prize_id: int
    name: str


class Drawn(BaseModel):
    """What came of it."""

    draw_id: int
    won: bool
    prize: Prize | None


class Answer(BaseModel):
    """The envelope."""

    status: int = 1
    msg: str = "ok"
    data: Drawn


class Chance(BaseModel):
    """A prize, and how likely it is, in parts per billion."""

    prize_id: int
    name: str
    probability_ppb: int


async def user_of(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> int:
    """The caller, by the token."""
    try:
        claims = jwt.decode(credentials.credentials, settings.token_secret, algorithms=[ALGORITHM])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "UNAUTHENTICATED") from error
    return int(claims["sub"])


Caller = Annotated[int, Depends(user_of)]


def choose(chances: Sequence[Chance]) -> Chance | None:
    """One of *chances* by its odds; None: a miss."""
    ticket = secrets.randbelow(_PPB)
    for chance in chances:
        if ticket < chance.probability_ppb:
            return chance
        ticket -= chance.probability_ppb
    return None


def answer(draw_id: int, prize: Chance | None) -> Answer:
    """The answer to a draw."""
    won = Prize(prize_id=prize.prize_id, name=prize.name) if prize else None
    return Answer(data=Drawn(draw_id=draw_id, won=won is not None, prize=won))

"""The functions of ghz itself, and sprig's that are left to chance."""

import random
import string
import uuid
from typing import Any

from ops.ghz.templates.functions import Catalog, bounded, whole

CHANCE = Catalog()
_LETTERS = string.ascii_lowercase + string.ascii_uppercase + string.digits
# Data of a load test has to differ, not to be secret.
_chance = random.Random()  # noqa: S311


def seed_chance(seed: int) -> None:
    """For tests: the same draws again."""
    _chance.seed(seed)


def random_uuid() -> str:
    """A UUID of version 4."""
    return str(uuid.UUID(int=_chance.getrandbits(128), version=4))


@CHANCE.add("newUUID", 0, is_pure=False)
@CHANCE.add("uuidv4", 0, is_pure=False)
def _new_uuid() -> str:
    return random_uuid()


def _text_of(letters: str, length: Any) -> str:
    return "".join(_chance.choices(letters, k=bounded(max(0, whole(length)))))


@CHANCE.add("randomString", 1, is_pure=False)
def _random_string(length: Any) -> str:
    """Of that length; 0 or less: of 2 to 16 characters."""
    return _text_of(_LETTERS, length if whole(length) > 0 else _chance.randint(2, 16))


@CHANCE.add("randomInt", 2, is_pure=False)
def _random_int(least: Any, most: Any) -> int:
    """*least* or more, less than *most*."""
    begin, end = max(0, whole(least)), whole(most) if whole(most) > 0 else 1
    return _below(begin, end)


@CHANCE.add("randInt", 2, is_pure=False)
def _rand_int(least: Any, most: Any) -> int:
    return _below(whole(least), whole(most))


def _below(begin: int, end: int) -> int:
    if end <= begin:
        raise ValueError(f"there is no number from {begin} and below {end}")
    return _chance.randrange(begin, end)


@CHANCE.add("randAlphaNum", 1, is_pure=False)
def _alpha_num(length: Any) -> str:
    return _text_of(_LETTERS, length)


@CHANCE.add("randAlpha", 1, is_pure=False)
def _alpha(length: Any) -> str:
    return _text_of(string.ascii_letters, length)


@CHANCE.add("randNumeric", 1, is_pure=False)
def _numeric(length: Any) -> str:
    return _text_of(string.digits, length)


@CHANCE.add("randAscii", 1, is_pure=False)
def _ascii(length: Any) -> str:
    return _text_of("".join(map(chr, range(32, 127))), length)


@CHANCE.add("shuffle", 1, is_pure=False)
def _shuffle(value: Any) -> str:
    letters = list(str(value))
    _chance.shuffle(letters)
    return "".join(letters)

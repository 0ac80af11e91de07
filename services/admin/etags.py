"""Etags: names of what edits were made for, so that nobody overwrites what they have not seen."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from services.common.errors import ConflictError
from services.common.orders import money

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LENGTH = 32


class Versioned(Protocol):
    """Something that is edited."""

    @property
    def etag(self) -> str:
        """Equal as long as nothing was edited."""


class EtagMismatchError(ConflictError):
    """The edit was made for another version than *current*."""

    def __init__(self, current: Versioned) -> None:
        super().__init__()
        self.current = current


def etag_of(subject: str, terms: DataclassInstance, *more: object) -> str:
    """The etag of *subject* ("prize:7"), of which operators set *terms*; 32 hexadecimal digits."""
    content = json.dumps([subject, asdict(terms), more], default=plain, sort_keys=True)
    return sha256(content.encode()).hexdigest()[:_LENGTH]


def check_etag(asked: str, current: Versioned) -> None:
    """
    Whether an edit made for *asked* fits *current*, inside the transaction that locks it.

    Raises:
        EtagMismatchError: It was edited meanwhile. An edit that asks for none always fits.
    """
    if asked and asked != current.etag:
        raise EtagMismatchError(current)


def plain(value: datetime | Decimal) -> str:
    """*value* in JSON: a time is RFC 3339, money has two decimals."""
    return money(value) if isinstance(value, Decimal) else value.isoformat()

"""Partial changes: dataclasses whose None leaves a field as it is, and CLEARED empties it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from services.common.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import DataclassInstance

Value = TypeVar("Value")
Empty = TypeVar("Empty")


class Cleared(Enum):
    """The one value of a field that is emptied."""

    CLEARED = "cleared"


CLEARED = Cleared.CLEARED


class UpdateRequest(Protocol):
    """A message of a partial change; see "Updates" in admin.proto."""

    @property
    def cleared_fields(self) -> Sequence[str]:
        """The fields to empty."""

    def HasField(self, field_name: Any, /) -> bool:  # noqa: ANN401, N802  # as protobuf has it
        """Whether the field is given."""


def given(change: DataclassInstance) -> dict[str, Any]:
    """The fields that *change* gives, for dataclasses.replace."""
    values = {field.name: getattr(change, field.name) for field in fields(change)}
    return {
        name: None if value is CLEARED else value
        for name, value in values.items()
        if value is not None
    }


def asked(request: UpdateRequest, field: str, check: Callable[..., Value]) -> Value | None:
    """*field* of *request*, checked; None where it was left out."""
    return check(field, getattr(request, field)) if request.HasField(field) else None


def asked_or_cleared(
    request: UpdateRequest, field: str, check: Callable[..., Value], empty: Empty
) -> Value | Empty | None:
    """The same of a field that may be empty: then *empty*, where *request* clears it."""
    if field not in request.cleared_fields:
        return asked(request, field, check)
    if request.HasField(field):
        raise InvalidArgumentError(field, f"{field} is given and cleared at once.")
    return empty

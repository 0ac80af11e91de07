"""Partial changes: dataclasses whose None leaves a field as it is."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def given(change: DataclassInstance) -> dict[str, Any]:
    """The fields that *change* gives, for dataclasses.replace."""
    values = {field.name: getattr(change, field.name) for field in fields(change)}
    return {name: value for name, value in values.items() if value is not None}

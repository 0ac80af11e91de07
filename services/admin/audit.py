"""The audit log's wording: what a change was, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from services.admin.etags import plain
from services.admin.models import Detail
from services.common.context import Caller, Role

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# Who did what happened by itself.
KUJI = Caller(user_id=0, username="kuji", role=Role.SERVICE)


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who (*caller*) did what ("prize.update") to what ("prize:7"), and how."""

    caller: Caller
    action: str
    subject: str
    detail: Detail

    @property
    def detail_json(self) -> str:
        """The detail as JSON text; times are RFC 3339, money has two decimals."""
        return json.dumps(self.detail, ensure_ascii=False, default=plain)


def content(terms: DataclassInstance) -> Detail:
    """Every field of something new."""
    return {field.name: getattr(terms, field.name) for field in fields(terms)}


def removal(terms: DataclassInstance) -> Detail:
    """Every field of something that is taken away, as a difference to nothing."""
    return {name: {"from": value, "to": None} for name, value in content(terms).items()}


def difference(before: DataclassInstance, after: DataclassInstance) -> Detail:
    """The fields that changed: name → {"from": …, "to": …}; both of one kind."""
    old, new = content(before), content(after)
    return {key: {"from": old[key], "to": new[key]} for key in old if old[key] != new[key]}

"""The audit log's wording: what a change was, as JSON."""

import json
from dataclasses import dataclass, fields
from datetime import datetime

from services.admin.models import Detail, Terms
from services.common.context import Caller


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who (*caller*) did what ("prize.update") to what ("prize:7"), and how."""

    caller: Caller
    action: str
    subject: str
    detail: Detail

    @property
    def detail_json(self) -> str:
        """The detail as JSON text; times are RFC 3339."""
        return json.dumps(self.detail, ensure_ascii=False, default=datetime.isoformat)


def content(terms: Terms) -> Detail:
    """Every field of something new."""
    return {field.name: getattr(terms, field.name) for field in fields(terms)}


def difference(before: Terms, after: Terms) -> Detail:
    """The fields that changed: name → {"from": …, "to": …}; both of one kind."""
    old, new = content(before), content(after)
    return {key: {"from": old[key], "to": new[key]} for key in old if old[key] != new[key]}

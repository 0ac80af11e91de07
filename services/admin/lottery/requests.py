"""Requests as domain values; what their protos do not say of a field is checked on the way."""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from google.protobuf.message import Message
from kuji.admin.v1 import admin_pb2

from services.admin import validation as valid
from services.admin.blocks import BlockDraft
from services.admin.changes import CLEARED, asked, asked_or_cleared
from services.admin.lottery.lifecycle import ActivityChange, ActivityDraft
from services.admin.lottery.prizes import PrizeChange
from services.admin.lottery.records import Format
from services.admin.models import AuditSpan, ConfirmMode, Phase, PrizeTerms
from services.common.errors import InvalidArgumentError

Value = TypeVar("Value")


def given(request: Message, field: str, check: Callable[..., Value]) -> Value | None:
    """*field* of *request*, checked; None where it was left out."""
    return check(field, getattr(request, field)) if request.HasField(field) else None


def activity_draft(request: admin_pb2.CreateActivityRequest) -> ActivityDraft:
    """A new activity as asked for; InvalidArgumentError names the field at fault."""
    return ActivityDraft(
        name=valid.name("name", request.name),
        description=request.description,
        start_time=given(request, "start_time", valid.moment),
        end_time=given(request, "end_time", valid.moment),
        phase=Phase(request.status or Phase.PLANNED),
        cooldown_seconds=request.cooldown_seconds,
        max_draws_per_user=request.max_draws_per_user,
        max_draws_per_day=request.max_draws_per_day,
        max_wins_per_user=request.max_wins_per_user,
        time_zone=valid.time_zone("time_zone", request.time_zone),
        confirm=ConfirmMode(request.confirm or ConfirmMode.STORE),
        ticket_required=request.ticket_required,
        ticket_difficulty=request.ticket_difficulty,
        ticket_spread_ms=request.ticket_spread_ms,
    )


def activity_change(request: admin_pb2.UpdateActivityRequest) -> ActivityChange:
    """A change as asked for; InvalidArgumentError names the field at fault."""
    return ActivityChange(
        name=asked(request, "name", valid.name),
        description=asked_or_cleared(request, "description", valid.as_given, ""),
        start_time=asked(request, "start_time", valid.moment),
        end_time=asked_or_cleared(request, "end_time", valid.moment, CLEARED),
        phase=asked(request, "status", _phase),
        cooldown_seconds=asked_or_cleared(request, "cooldown_seconds", valid.as_given, 0),
        max_draws_per_user=asked_or_cleared(request, "max_draws_per_user", valid.as_given, 0),
        max_draws_per_day=asked_or_cleared(request, "max_draws_per_day", valid.as_given, 0),
        max_wins_per_user=asked_or_cleared(request, "max_wins_per_user", valid.as_given, 0),
        time_zone=asked(request, "time_zone", valid.time_zone),
        confirm=asked(request, "confirm", valid.confirm),
        ticket_required=request.ticket_required if request.HasField("ticket_required") else None,
        ticket_difficulty=asked_or_cleared(request, "ticket_difficulty", valid.as_given, 0),
        ticket_spread_ms=asked_or_cleared(request, "ticket_spread_ms", valid.as_given, 0),
    )


def prize_terms(request: admin_pb2.CreatePrizeRequest) -> PrizeTerms:
    """A new prize as asked for; InvalidArgumentError names the field at fault."""
    return PrizeTerms(
        name=valid.name("name", request.name),
        description=request.description,
        image_url=request.image_url,
        total_count=request.total_count,
        probability_ppb=valid.probability_ppb("probability", request.probability),
        is_enabled=request.is_enabled if request.HasField("is_enabled") else True,
        max_wins_per_user=request.max_wins_per_user,
        unit_cost=valid.money("unit_cost", request.unit_cost or valid.NO_MONEY),
    )


def prize_change(request: admin_pb2.UpdatePrizeRequest) -> PrizeChange:
    """A change as asked for; InvalidArgumentError names the field at fault."""
    return PrizeChange(
        name=asked(request, "name", valid.name),
        description=asked_or_cleared(request, "description", valid.as_given, ""),
        image_url=asked_or_cleared(request, "image_url", valid.as_given, ""),
        total_count=asked(request, "total_count", valid.as_given),
        probability_ppb=asked(request, "probability", valid.probability_ppb),
        is_enabled=request.is_enabled if request.HasField("is_enabled") else None,
        max_wins_per_user=asked_or_cleared(request, "max_wins_per_user", valid.as_given, 0),
        unit_cost=asked_or_cleared(request, "unit_cost", valid.money, Decimal(valid.NO_MONEY)),
    )


def block_draft(request: admin_pb2.CreateBlockRequest) -> BlockDraft:
    """A block as asked for; InvalidArgumentError names the field at fault."""
    if [bool(request.user_id), bool(request.username), bool(request.ip)].count(True) != 1:
        raise InvalidArgumentError("user_id", "Name one: user_id, username or ip.")
    return BlockDraft(
        user_id=request.user_id,
        username=request.username,
        network=valid.network("ip", request.ip) if request.ip else None,
        reason=request.reason,
        until=given(request, "until", valid.moment),
    )


def audit_span(request: admin_pb2.StreamAuditLogRequest) -> AuditSpan:
    """Which part of the audit log; InvalidArgumentError names the field at fault."""
    return AuditSpan(
        since=given(request, "since", valid.moment),
        until=given(request, "until", valid.moment),
        subject=request.subject,
    )


def export_format(request: admin_pb2.StreamRecordsRequest) -> Format:
    """What the export looks like."""
    return Format(request.format or Format.SPREADSHEET)


def _phase(_field: str, value: str) -> Phase:
    return Phase(value)

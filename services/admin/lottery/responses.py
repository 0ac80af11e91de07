"""Domain values as messages."""

from kuji.admin.v1 import admin_pb2

from services.admin.lottery.odds_check import OddsCheck
from services.admin.lottery.statistics import (
    ActivityStatistics,
    Statistics,
    configured_probability,
    observed_probability,
    odds_check,
)
from services.admin.models import PPB, Activity, AuditEntry, Block, ClaimCounts, Prize, User
from services.common.addresses import network_text
from services.common.orders import money
from services.common.timestamps import optional_timestamp_of, timestamp_of

_MAX_UINT32 = 2**32 - 1
_NO_CLAIMS = ClaimCounts(0, 0)


def activity(value: Activity) -> admin_pb2.Activity:
    """An activity, as its operator sees it."""
    terms = value.terms
    return admin_pb2.Activity(
        activity_id=value.activity_id,
        name=terms.name,
        description=terms.description,
        start_time=optional_timestamp_of(terms.start_time),
        end_time=optional_timestamp_of(terms.end_time),
        status=value.phase,
        cooldown_seconds=terms.cooldown_seconds,
        max_draws_per_user=terms.max_draws_per_user,
        max_draws_per_day=terms.max_draws_per_day,
        max_wins_per_user=terms.max_wins_per_user,
        created_at=timestamp_of(value.created_at),
        updated_at=timestamp_of(value.updated_at),
        seed_commitment=value.seed_commitment,
        pool_id=value.pool_id,
        time_zone=terms.time_zone,
        confirm=terms.confirm,
        ticket_required=terms.ticket_required,
        ticket_difficulty=terms.ticket_difficulty,
        ticket_spread_ms=terms.ticket_spread_ms,
        etag=value.etag,
    )


def prize(value: Prize) -> admin_pb2.Prize:
    """A prize, as its operator sees it."""
    terms = value.terms
    return admin_pb2.Prize(
        prize_id=value.prize_id,
        activity_id=value.activity_id,
        name=terms.name,
        description=terms.description,
        image_url=terms.image_url,
        total_count=terms.total_count,
        remaining_count=value.remaining_count,
        probability=terms.probability_ppb / PPB,
        is_enabled=terms.is_enabled,
        created_at=timestamp_of(value.created_at),
        updated_at=timestamp_of(value.updated_at),
        is_deleted=value.is_deleted,
        max_wins_per_user=terms.max_wins_per_user,
        etag=value.etag,
        held_units=value.held_count,
        unit_cost=money(terms.unit_cost),
    )


def user(value: User) -> admin_pb2.User:
    """An account, as an operator sees it."""
    return admin_pb2.User(
        user_id=value.user_id,
        username=value.username,
        email=value.email,
        is_active=value.is_active,
        created_at=timestamp_of(value.created_at),
    )


def statistics(value: Statistics) -> admin_pb2.GetStatisticsResponse:
    """Totals, and the same for each activity."""
    return admin_pb2.GetStatisticsResponse(
        draws=_uint32(value.totals.draws),
        wins=_uint32(value.totals.wins),
        unique_users=_uint32(value.totals.unique_users),
        recorder_lag_ms=_uint32(value.recorder_lag_ms),
        books_balance=value.books_balance,
        activities=[_activity_statistics(item) for item in value.activities],
    )


def audit_entry(value: AuditEntry) -> admin_pb2.AuditEntry:
    """One line of the audit log."""
    return admin_pb2.AuditEntry(
        audit_id=value.audit_id,
        username=value.username,
        action=value.action,
        subject=value.subject,
        detail=value.detail,
        created_at=timestamp_of(value.created_at),
    )


def block(value: Block) -> admin_pb2.Block:
    """Who may not draw."""
    return admin_pb2.Block(
        block_id=value.block_id,
        user_id=value.user_id,
        username=value.username,
        ip=network_text(value.network) if value.network else "",
        reason=value.reason,
        until=optional_timestamp_of(value.until),
        created_at=timestamp_of(value.created_at),
        is_active=value.is_active,
    )


def _activity_statistics(value: ActivityStatistics) -> admin_pb2.ActivityStatistics:
    pool = value.pool
    return admin_pb2.ActivityStatistics(
        activity_id=pool.activity_id,
        name=pool.name,
        status=pool.phase,
        draws=_uint32(pool.draws),
        wins=_uint32(pool.wins),
        unique_users=_uint32(pool.unique_users),
        prizes=[
            _prize_statistics(
                item,
                pool.draws,
                value.claims.get(item.prize_id, _NO_CLAIMS),
                odds_check(item, value.trials),
            )
            for item in value.prizes
        ],
        books_balance=value.books_balance,
    )


def _odds_check(value: OddsCheck) -> admin_pb2.OddsCheck:
    return admin_pb2.OddsCheck(
        draws=value.trials.draws,
        expected_wins=value.trials.expected_wins,
        expected_probability=value.expected,
        interval_low=value.low,
        interval_high=value.high,
        verdict=value.verdict,
        explanation=value.explanation,
    )


def _prize_statistics(
    value: Prize, draws: int, claims: ClaimCounts, check: OddsCheck | None
) -> admin_pb2.PrizeStatistics:
    return admin_pb2.PrizeStatistics(
        prize_id=value.prize_id,
        name=value.terms.name,
        total=value.terms.total_count,
        won=value.won_count,
        remaining=value.remaining_count,
        configured_probability=configured_probability(value),
        observed_probability=observed_probability(value, draws),
        redeemed=claims.redeemed,
        disqualified=claims.disqualified,
        odds_check=None if check is None else _odds_check(check),
        held_units=value.held_count,
    )


def _uint32(number: int) -> int:
    # A count beyond 2^32 − 1 shows as that rather than as an error.
    return min(number, _MAX_UINT32)

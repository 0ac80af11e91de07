"""The translation of an activity into what the draw engine needs of it."""

from collections.abc import Collection, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from kuji.draw.v1 import pool_pb2

from services.admin.models import Activity, ActivityTerms, ConfirmMode, Prize, Wish
from services.common.timestamps import NEVER_MS, ms_of

_STATUS_OF_WISH = {
    Wish.OPEN: pool_pb2.POOL_STATUS_OPEN,
    Wish.PAUSED: pool_pb2.POOL_STATUS_PAUSED,
    Wish.ENDED: pool_pb2.POOL_STATUS_ENDED,
}

CONFIRMS = {
    # Left out of the document, so that processes of the version before understand it.
    ConfirmMode.STORE: pool_pb2.CONFIRM_UNSPECIFIED,
    ConfirmMode.REPLICA: pool_pb2.CONFIRM_REPLICA,
    ConfirmMode.RECORDED: pool_pb2.CONFIRM_RECORDED,
}


def pool_config(
    activity: Activity, prizes: Iterable[Prize], now: datetime, retiring: Collection[int] = ()
) -> pool_pb2.PoolConfig:
    """
    The whole configuration of an activity's pool.

    A prize that is deleted is in it once more, as retired; after that it is left out, so that
    those deleted do not count for ever.

    Args:
        activity: As it shall be.
        prizes: All that it ever had, the deleted included, by id.
        now: The moment whose offset from UTC the activity's time zone gives.
        retiring: Ids of those that are being deleted.
    """
    terms = activity.terms
    return pool_pb2.PoolConfig(
        mode=pool_pb2.POOL_MODE_ODDS,
        status=_STATUS_OF_WISH[terms.wish],
        start_ms=ms_of(terms.start_time) if terms.start_time else NEVER_MS,
        end_ms=0 if terms.end_time is None else ms_of(terms.end_time),
        limits=_limits(terms, now),
        prizes=[
            _pool_prize(prize)
            for prize in prizes
            if not prize.is_deleted or prize.prize_id in retiring
        ],
        activity_id=activity.activity_id,
        confirm=CONFIRMS[terms.confirm],
        draw_tickets=_ticket_policy(terms),
    )


def _limits(terms: ActivityTerms, now: datetime) -> pool_pb2.UserLimits:
    return pool_pb2.UserLimits(
        cooldown_ms=terms.cooldown_seconds * 1000,
        draws_per_user=terms.max_draws_per_user,
        draws_per_day=terms.max_draws_per_day,
        wins_per_user=terms.max_wins_per_user,
        day_offset_minutes=offset_minutes(terms.time_zone, now),
    )


def _ticket_policy(terms: ActivityTerms) -> pool_pb2.TicketPolicy | None:
    policy = pool_pb2.TicketPolicy(
        required=terms.ticket_required,
        difficulty=terms.ticket_difficulty,
        spread_ms=terms.ticket_spread_ms,
    )
    # Left out of the document where nothing is asked, as in those of the version before.
    return policy if policy.ByteSize() else None


def offset_minutes(time_zone: str, now: datetime) -> int:
    """The offset of *time_zone* from UTC at *now*, minutes east."""
    offset = now.astimezone(ZoneInfo(time_zone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) // 60


def _pool_prize(prize: Prize) -> pool_pb2.PoolPrize:
    terms = prize.terms
    return pool_pb2.PoolPrize(
        prize_id=prize.prize_id,
        name=terms.name,
        image_url=terms.image_url,
        units=prize.drawn_from,
        held_units=prize.held_count,
        weight=terms.probability_ppb,
        enabled=terms.is_enabled,
        wins_per_user=terms.max_wins_per_user,
        retired=prize.is_deleted,
    )

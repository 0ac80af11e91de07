"""Which changes one person alone may not make, where a second one is asked for."""

from datetime import datetime

from services.admin.models import ActivityTerms, Phase, PrizeTerms


def ends(before: ActivityTerms, after: ActivityTerms, now: datetime) -> bool:
    """Whether a change ends an activity for good, or sooner than it would have."""
    if before.phase(now) is Phase.ENDED:
        return False
    if after.phase(now) is Phase.ENDED:
        return True
    is_sooner = after.end_time is not None and (
        before.end_time is None or after.end_time < before.end_time
    )
    return is_sooner and is_under_way(before, now)


def is_under_way(terms: ActivityTerms, now: datetime) -> bool:
    """Whether an activity has begun and not ended; paused or not, users have drawn by its odds."""
    has_begun = terms.start_time is not None and now >= terms.start_time
    return has_begun and terms.phase(now) is not Phase.ENDED


def changes_odds(before: PrizeTerms | None, after: PrizeTerms | None) -> bool:
    """Whether a change touches what can be won, how often and by whom; None: there is no prize."""
    return _chances(before) != _chances(after)


def _chances(terms: PrizeTerms | None) -> tuple[int, ...]:
    if terms is None or not terms.can_be_won:
        return ()
    return terms.probability_ppb, terms.total_count, terms.max_wins_per_user

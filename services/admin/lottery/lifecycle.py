"""The rules of an activity's life: which change is allowed when."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.admin.changes import Cleared, given
from services.admin.models import ActivityTerms, ConfirmMode, Phase, Prize, Wish
from services.common.errors import InvalidArgumentError

_FIRST_PHASES = (Phase.PLANNED, Phase.ONGOING, Phase.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityDraft:
    """A new activity as asked for. phase: planned, ongoing or paused."""

    name: str
    description: str
    start_time: datetime | None
    end_time: datetime | None
    phase: Phase
    cooldown_seconds: int
    max_draws_per_user: int
    max_draws_per_day: int
    max_wins_per_user: int
    time_zone: str
    confirm: ConfirmMode = ConfirmMode.STORE
    ticket_required: bool = False
    ticket_difficulty: int = 0
    ticket_spread_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityChange:
    """A change as asked for; None leaves a field as it is."""

    name: str | None = None
    description: str | None = None
    start_time: datetime | None = None
    end_time: datetime | Cleared | None = None
    phase: Phase | None = None
    cooldown_seconds: int | None = None
    max_draws_per_user: int | None = None
    max_draws_per_day: int | None = None
    max_wins_per_user: int | None = None
    time_zone: str | None = None
    confirm: ConfirmMode | None = None
    ticket_required: bool | None = None
    ticket_difficulty: int | None = None
    ticket_spread_ms: int | None = None


def drafted(draft: ActivityDraft, now: datetime) -> ActivityTerms:
    """The terms of a new activity; InvalidArgumentError naming the field that does not fit."""
    terms = ActivityTerms(
        name=draft.name,
        description=draft.description,
        start_time=draft.start_time,
        end_time=draft.end_time,
        wish=Wish.OPEN,
        cooldown_seconds=draft.cooldown_seconds,
        max_draws_per_user=draft.max_draws_per_user,
        max_draws_per_day=draft.max_draws_per_day,
        max_wins_per_user=draft.max_wins_per_user,
        time_zone=draft.time_zone,
        confirm=draft.confirm,
        ticket_required=draft.ticket_required,
        ticket_difficulty=draft.ticket_difficulty,
        ticket_spread_ms=draft.ticket_spread_ms,
    )
    _check_span(terms, "end_time", now)
    if draft.phase not in _FIRST_PHASES:
        raise InvalidArgumentError("status", "A new activity is planned, ongoing or paused.")
    if draft.phase is Phase.PLANNED:
        return terms
    return _moved_to(draft.phase, replace(terms, start_time=terms.start_time or now), now)


def has_ended_for_good(terms: ActivityTerms, now: datetime, grace: timedelta) -> bool:
    """Whether nothing opens it again: ended by its operator, or by time *grace* ago or more."""
    if terms.wish is Wish.ENDED:
        return True
    return terms.end_time is not None and now >= terms.end_time + grace


def changed(
    terms: ActivityTerms, change: ActivityChange, now: datetime, grace: timedelta
) -> ActivityTerms:
    """
    *terms* after *change*.

    Args:
        terms: As stored.
        change: As asked for.
        now: The moment of the change.
        grace: How long after its end an activity can still be extended.

    Raises:
        InvalidArgumentError: Names the field that may not change so.
    """
    result = replace(terms, **_given_terms(change))
    if result.end_time != terms.end_time and has_ended_for_good(terms, now, grace):
        raise InvalidArgumentError("end_time", "The activity has ended for good; its end is fixed.")
    if result.start_time != terms.start_time and not _has_yet_to_begin(terms, now):
        raise InvalidArgumentError("start_time", "The activity has begun; its start is fixed.")
    _check_span(result, "start_time" if change.end_time is None else "end_time", now)
    return result if change.phase is None else _moved_to(change.phase, result, now)


def opens(before: ActivityTerms, after: ActivityTerms, now: datetime) -> bool:
    """Whether a change makes an activity draw that did not."""
    return after.phase(now) is Phase.ONGOING and before.phase(now) is not Phase.ONGOING


def check_prizes(prizes: Iterable[Prize]) -> None:
    """InvalidArgumentError where an activity with *prizes* cannot open: there is none to win."""
    if not any(not prize.is_deleted and prize.terms.can_be_won for prize in prizes):
        raise InvalidArgumentError(
            "status", "There is nothing to win here. Add an enabled prize with units and a chance."
        )


def _given_terms(change: ActivityChange) -> dict[str, Any]:
    return {name: value for name, value in given(change).items() if name != "phase"}


def _has_yet_to_begin(terms: ActivityTerms, now: datetime) -> bool:
    has_begun = terms.start_time is not None and now >= terms.start_time
    return terms.wish is not Wish.ENDED and not has_begun


def _check_span(terms: ActivityTerms, field: str, now: datetime) -> None:
    if terms.end_time is not None and terms.end_time <= (terms.start_time or now):
        raise InvalidArgumentError(field, "end_time has to lie after start_time.")


def _moved_to(phase: Phase, terms: ActivityTerms, now: datetime) -> ActivityTerms:
    if phase is Phase.ENDED:
        return replace(terms, wish=Wish.ENDED)
    if terms.phase(now) is Phase.ENDED:
        raise InvalidArgumentError("status", f"The activity has ended; it cannot be {phase}.")
    if phase is Phase.PAUSED:
        return replace(terms, wish=Wish.PAUSED)
    if phase is Phase.ONGOING:
        return replace(terms, wish=Wish.OPEN, start_time=min(now, terms.start_time or now))
    if not _has_yet_to_begin(terms, now):
        raise InvalidArgumentError("status", "The activity has begun; it cannot be planned.")
    return replace(terms, wish=Wish.OPEN)

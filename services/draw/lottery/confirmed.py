"""Wins that have to be recorded before they are told, where a lottery asks for it."""

from services.draw.confirmation import UnconfirmedWin
from services.pool.rule.terms import Answer, Confirm, DrawCode, Drawing, Intent


def must_wait(drawing: Drawing, answer: Answer) -> bool:
    """Whether *answer* is a win that has to be recorded before it is told."""
    return (
        drawing.confirm is Confirm.RECORDED
        and answer.code is DrawCode.DRAWN
        and bool(answer.draws[0].prize_id)
    )


def win_of(intent: Intent, answer: Answer) -> UnconfirmedWin:
    """The win that *answer* gave to *intent*."""
    return UnconfirmedWin(answer.first_seq, intent.user_id, intent.request_id)

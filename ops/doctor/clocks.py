"""Clocks: this machine's, Redis's, Postgres's, and the services'."""

import time
from email.utils import parsedate_to_datetime
from typing import Any

from ops.doctor.patient import Patient
from ops.doctor.symptoms import Symptom, runbook, unknown, warning, well, wrong
from ops.doctor.web import WebAnswer
from services.common.postgres import load_queries

_queries: Any = load_queries(__file__)
_WARNING_S, _WRONG_S = 1.0, 5.0  # Redis stops draws at 10
_DATE_S = 1.0  # what a Date header leaves out


async def redis(patient: Patient) -> list[Symptom]:
    """Redis's clock is this machine's."""
    assert patient.redis is not None
    before = time.time()
    seconds, microseconds = await patient.redis.time()
    return [judge("Redis", int(seconds) + int(microseconds) / 1e6, before, time.time())]


async def postgres(patient: Patient) -> list[Symptom]:
    """Postgres's clock is this machine's."""
    before = time.time()
    shown = await _queries.now_us(patient.postgres)
    return [judge("Postgres", shown / 1e6, before, time.time())]


def judge(whose: str, shown: float, before: float, after: float, unsure_s: float = 0.0) -> Symptom:
    """
    Whether a clock is right.

    Args:
        shown: What it showed at some moment between *before* and *after*, Unix seconds.
        unsure_s: By so much it may have been later than it said.
    """
    late, early = before - unsure_s - shown, shown - after
    off_s = max(late, early, 0.0)
    if off_s < _WARNING_S:
        return well(f"{whose}'s clock is this machine's")
    direction = "behind" if late > early else "ahead of"
    sentence = f"{whose}'s clock is {off_s:,.1f} s {direction} this machine's"
    step = f"run a time daemon on both machines; {runbook('a-clock-is-off')}"
    if off_s < _WRONG_S:
        return warning(sentence, "at 10 s, draws stop; tokens end too early or too late", step)
    return wrong(sentence, "draws stop at a jump of 10 s; starts, ends and quotas are off", step)


def judge_date(whose: str, page: WebAnswer) -> Symptom:
    """The same, of an answer's Date header, which says whole seconds."""
    try:
        shown = parsedate_to_datetime(page.date or "").timestamp()
    except ValueError:
        return unknown(f"{whose} does not say what time it is")
    return judge(whose, shown, page.before, page.after, _DATE_S)

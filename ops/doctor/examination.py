"""An examination: every check has its time, and what fails in one is told, not raised."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import asyncpg
from redis.exceptions import NoPermissionError, ResponseError

from ops.doctor.patient import TIMEOUT_S, Patient
from ops.doctor.symptoms import Examined, Grade, Symptom, runbook, unknown, wrong
from services.common.outages import is_outage, told

_CHECK_S = 25.0

Examine = Callable[[Patient], Awaitable[Sequence[Symptom]]]
OnProgress = Callable[[], None]


class Check(NamedTuple):
    """
    One thing to look at.

    Args:
        area: Of which part.
        name: What it looks at.
        examine: What it sees; nothing, where there is no such thing.
        needs: The stores that it asks, "redis" or "postgres".
    """

    area: str
    name: str
    examine: Examine
    needs: frozenset[str] = frozenset()


async def examined(
    patient: Patient, checks: Sequence[Check], on_progress: OnProgress = lambda: None
) -> list[Examined]:
    """
    What *checks* see, in their order; within half a minute, whoever is dead or frozen.

    What needs a store that does not answer is not looked at, and is told in one line.
    """
    silent = await _silent_stores(patient)

    async def look(check: Check) -> Examined:
        seen = await _bounded(patient, check)
        on_progress()
        return seen

    able = [check for check in checks if not check.needs & silent.keys()]
    left = Counter(check.area for check in checks if check.needs & silent.keys())
    seen = await asyncio.gather(*(look(check) for check in able))
    told = [one for one in seen if one.symptoms]
    return [*_connections(patient, silent), *told, *_left(left)]


async def _silent_stores(patient: Patient) -> dict[str, str]:
    """The stores that do not answer, and why; that nobody knows is a reason."""
    asked = {"redis": _ping_redis(patient), "postgres": _ping_postgres(patient)}
    reasons = await asyncio.gather(*asked.values())
    return {name: why for name, why in zip(asked, reasons, strict=True) if why is not None}


async def _ping_redis(patient: Patient) -> str | None:
    if patient.redis is None:
        return ""
    return await _failure(patient.redis.ping())


async def _ping_postgres(patient: Patient) -> str | None:
    if patient.postgres is None:
        return ""
    return await _failure(patient.postgres.fetchval("SELECT 1"))


async def _failure(question: Awaitable[object]) -> str | None:
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            await question
    except Exception as error:  # noqa: BLE001  # whatever it is, it does not answer
        return _said(error)
    return None


def _connections(patient: Patient, silent: Mapping[str, str]) -> list[Examined]:
    steps = {
        "redis": ("Redis", runbook("draws-are-refused")),
        "postgres": ("Postgres", runbook("postgres-down")),
    }
    return [
        Examined(
            name,
            "connection",
            [
                wrong(
                    patient.without_secrets(f"{name} does not answer: {silent[store]}"),
                    "nothing that needs it works, and nothing in it can be looked at",
                    step,
                )
            ],
        )
        for store, (name, step) in steps.items()
        if silent.get(store)
    ]


def _left(left: Mapping[str, int]) -> list[Examined]:
    sentence = "other checks need a store that does not answer, or that nobody names"
    return [
        Examined(area, "the rest", [unknown(f"{number} {sentence}")])
        for area, number in left.items()
    ]


async def _bounded(patient: Patient, check: Check) -> Examined:
    try:
        async with asyncio.timeout(_CHECK_S):
            symptoms = list(await check.examine(patient))
    except (NoPermissionError, asyncpg.InsufficientPrivilegeError) as error:
        symptoms = [unknown(f"this login may not look: {_said(error)}")]
    except ResponseError as error:
        symptoms = [unknown(f"Redis does not say: {_said(error)}")]
    except Exception as error:  # noqa: BLE001  # a check that fails says so, and the others go on
        symptoms = [_failed(error)]
    hidden = [Symptom(one.grade, *map(patient.without_secrets, one[1:])) for one in symptoms]
    return Examined(check.area, check.name, hidden)


def _failed(error: Exception) -> Symptom:
    if is_outage(error):
        why = "what does not answer in time does not work, or works too slowly"
        return wrong(f"no answer: {_said(error)}", why, runbook("first-look"))
    return unknown(f"the check itself failed: {told(error)}")


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return str(error) or type(error).__name__


def worst(seen: Sequence[Examined]) -> Grade:
    """The worst that was seen; what could not be looked at counts for nothing."""
    grades = {symptom.grade for one in seen for symptom in one.symptoms}
    for grade in (Grade.WRONG, Grade.WARNING):
        if grade in grades:
            return grade
    return Grade.OK

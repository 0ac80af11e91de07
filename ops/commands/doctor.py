"""kuji doctor: what is wrong with an installation, and the next step."""

import asyncio
import json
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated

import typer
from rich.markup import escape

from ops.connections import OpsSettings
from ops.doctor.checks import CHECKS
from ops.doctor.examination import examined, worst
from ops.doctor.patient import admitted
from ops.doctor.symptoms import Examined, Grade, Symptom
from ops.terminal import counted, out, progress
from services.common.settings import read_settings

_SIGNS = {
    Grade.OK: "[green]✓[/]",
    Grade.WARNING: "[yellow]![/]",
    Grade.WRONG: "[red]✗[/]",
    Grade.UNKNOWN: "[dim]·[/]",
}
_CODES = {Grade.OK: 0, Grade.WARNING: 1, Grade.WRONG: 2}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was seen as JSON.")] = False,
) -> None:
    """
    Look at an installation, and say what is wrong with it, why that matters, and the next step:
    the stack in KUJI_HOME, running or not, or the stores and services that KUJI_POSTGRES_DSN,
    KUJI_REDIS_URL, KUJI_EDGE_URL, KUJI_AUTH_ADDRESS, KUJI_DRAW_ADDRESS, … name. Nothing is
    changed, and draws may run meanwhile. It takes at most half a minute, whoever is dead or frozen.

    Exit code 0: all is well; 1: there are warnings; 2: something is wrong, or it could not look.
    """
    seen = asyncio.run(_look(read_settings(OpsSettings)))
    _print_json(seen) if as_json else _print(seen)
    raise typer.Exit(_CODES[worst(seen)])


async def _look(settings: OpsSettings) -> list[Examined]:
    async with admitted(settings) as patient:
        with progress() as bars:
            task = bars.add_task("looking", total=len(CHECKS), note="")
            return await examined(patient, CHECKS, lambda: bars.advance(task))


def _print_json(seen: Sequence[Examined]) -> None:
    checks = [
        {"area": one.area, "check": one.name, **symptom._asdict()}
        for one in seen
        for symptom in one.symptoms
    ]
    out.print_json(json.dumps({"grade": worst(seen), "checks": checks}))


def _print(seen: Sequence[Examined]) -> None:
    areas = list(dict.fromkeys(check.area for check in CHECKS))
    in_order = sorted(seen, key=lambda one: areas.index(one.area))
    for area, members in groupby(in_order, key=lambda one: one.area):
        out.print(f"[bold]{area}[/]")
        for one in members:
            for symptom in one.symptoms:
                _print_symptom(one.name, symptom)
    out.print(_summary(seen), soft_wrap=True)


def _print_symptom(name: str, symptom: Symptom) -> None:
    out.print(f"  {_SIGNS[symptom.grade]} {name:<12} {escape(symptom.sentence)}", soft_wrap=True)
    if symptom.why:
        out.print(f"{'':<17}Why: {escape(symptom.why)}.", soft_wrap=True)
        out.print(f"{'':<17}Next: {escape(symptom.next_step)}", soft_wrap=True)


def _summary(seen: Sequence[Examined]) -> str:
    grades = [symptom.grade for one in seen for symptom in one.symptoms]
    ill, warnings = grades.count(Grade.WRONG), grades.count(Grade.WARNING)
    left = grades.count(Grade.UNKNOWN)
    unseen = f"; {counted(left, 'thing')} could not be looked at" if left else ""
    if not ill and not warnings:
        return f"[green]✓[/] all is well{unseen}"
    sign = "[red]✗[/]" if ill else "[yellow]![/]"
    return f"{sign} {ill} wrong, {counted(warnings, 'warning')}{unseen}"

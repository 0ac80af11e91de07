"""One check of `kuji doctor`, on real parts."""

from pathlib import Path
from typing import Any

from ops.connections import OpsSettings
from ops.doctor.checks import CHECKS
from ops.doctor.examination import examined
from ops.doctor.patient import admitted
from ops.doctor.symptoms import Grade, Symptom


class Doctor:
    """
    Examines.

    Args:
        home: Folder of a stack on this machine.
        redis_url, postgres_dsn: The stores.
    """

    def __init__(self, home: Path, redis_url: str | None, postgres_dsn: str | None) -> None:
        self._given: dict[str, Any] = {
            "home": home,
            "redis_url": redis_url,
            "postgres_dsn": postgres_dsn,
        }

    async def __call__(self, area: str, name: str) -> list[Symptom]:
        """What one check sees, and whether its stores answer."""
        checks = [check for check in CHECKS if (check.area, check.name) == (area, name)]
        assert len(checks) == 1
        async with admitted(OpsSettings(**self._given)) as patient:
            seen = await examined(patient, checks)
        return [symptom for one in seen for symptom in one.symptoms]

    async def finds(self, area: str, name: str, grade: Grade, words: str) -> None:
        """
        The check finds this, and says why and what to do.

        Args:
            words: Some of its sentence.
        """
        seen = await self(area, name)
        assert grade in {one.grade for one in seen}, seen
        sentences = [one.sentence for one in seen if one.grade is grade]
        assert any(words in sentence for sentence in sentences), sentences
        if grade in (Grade.WARNING, Grade.WRONG):
            assert all(one.why and one.next_step for one in seen if one.grade is grade)

    async def is_content(self, area: str, name: str) -> None:
        """The check finds nothing to be done, and has looked."""
        seen = await self(area, name)
        assert {Grade.OK} == {one.grade for one in seen}, seen

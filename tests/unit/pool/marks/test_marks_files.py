"""Marks in files: torn, taken over, lost."""

import asyncio
from pathlib import Path

import pytest

from services.common.errors import UnavailableError
from services.pool.marks import writer
from services.pool.marks.files import MarkFile, MarkFolder
from services.pool.marks.mark import Mark
from services.pool.marks.writer import MarkWriter

_PLACE_BYTES = 32


def _tear(path: Path, place: int, keep: int) -> None:
    """Let a power cut have written the first *keep* bytes of a place alone."""
    content = bytearray(path.read_bytes())
    at = place * _PLACE_BYTES
    content[at + keep : at + _PLACE_BYTES] = bytes(_PLACE_BYTES - keep)
    path.write_bytes(content)


@pytest.mark.parametrize("keep", [0, 1, 12, 24, 26])
def test_torn_write_leaves_the_mark_before(tmp_path: Path, keep: int) -> None:
    """What was answered before the cut is known; other pools' marks, and the file, are whole."""
    folder = MarkFolder(tmp_path)
    file = folder.claim()
    file.write({1: Mark(5, 50), 2: Mark(7, 70)})
    file.write({1: Mark(6, 60)})
    assert {1: Mark(6, 60), 2: Mark(7, 70)} == folder.read()
    file.close()
    _tear(tmp_path / "1.marks", 1, keep)
    assert {1: Mark(5, 50), 2: Mark(7, 70)} == folder.read()
    again = MarkFolder(tmp_path).claim()
    again.write({1: Mark(8, 80), 3: Mark(9, 90)})
    again.write({1: Mark(8, 81)})
    assert {1: Mark(8, 81), 2: Mark(7, 70), 3: Mark(9, 90)} == folder.read()
    again.close()


def test_write_that_failed_does_not_cost_the_mark_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk took it or did not; a power cut in the next one leaves what was told for certain."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    folder = MarkFolder(tmp_path)
    file = folder.claim()
    file.write({1: Mark(5, 50)})
    with monkeypatch.context() as patched:
        patched.setattr("os.fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            file.write({1: Mark(6, 60), 2: Mark(7, 70)})
    file.write({1: Mark(8, 80), 2: Mark(7, 71)})
    file.close()
    assert {1: Mark(8, 80), 2: Mark(7, 71)} == folder.read()
    _tear(tmp_path / "1.marks", 1, 12)
    assert {1: Mark(5, 50), 2: Mark(7, 71)} == folder.read()


def test_each_process_has_a_file_and_takes_over_that_of_one_that_is_gone(tmp_path: Path) -> None:
    """All are read; a folder that is made anew is another."""
    folder, other = MarkFolder(tmp_path), MarkFolder(tmp_path)
    one, two = folder.claim(), other.claim()
    one.write({1: Mark(5, 50)})
    two.write({1: Mark(4, 60), 2: Mark(1, 1)})
    assert {1: Mark(5, 60), 2: Mark(1, 1)} == folder.read()
    one.close()
    three = other.claim()
    three.write({3: Mark(3, 3)})
    assert {"1.marks", "2.marks"} == {file.name for file in tmp_path.glob("*.marks")}
    assert {1: Mark(5, 60), 2: Mark(1, 1), 3: Mark(3, 3)} == folder.read()
    two.close()
    three.close()
    assert folder.folder_id == other.folder_id != MarkFolder(tmp_path / "new").folder_id


class _SickFile(MarkFile):
    """A file on a disk that is full for a while."""

    is_sick = True

    def write(self, marks: dict[int, Mark]) -> None:  # type: ignore[override]
        if self.is_sick:
            raise OSError(28, "No space left on device")
        super().write(marks)


async def test_what_the_disk_does_not_take_is_not_answered_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits hears that the outcome is unknown; who asks again waits until it is written."""
    monkeypatch.setattr(writer, "_PAUSE_S", 0.01)
    folder, file = MarkFolder(tmp_path), _SickFile(tmp_path / "1.marks")
    marks = MarkWriter(file)
    marks.add(1, Mark(5, 50))
    marks.add(2, Mark(7, 70))
    sealed = marks.written(1)
    assert sealed is not None
    with pytest.raises(UnavailableError):
        await sealed
    assert marks.written(1) is not None
    marks.add(1, Mark(6, 60))
    file.is_sick = False
    async with asyncio.timeout(10):
        while (sealed := marks.written(1)) is not None:
            await asyncio.wait([sealed])
    assert {1: Mark(6, 60), 2: Mark(7, 70)} == folder.read()
    assert marks.written(2) is None
    await marks.close()

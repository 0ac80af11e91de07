"""What is cut from the end of Valkey's append-only file: what was torn off, and nothing else."""

import os
from pathlib import Path

import pytest

from stack import aof
from stack.processes import StackError


def _entry(*words: bytes) -> bytes:
    parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    return b"*%d\r\n%s" % (len(words), parts)


# Whole pieces: after each, nothing is missing. Values hold zeros and what looks like entries.
PIECES = [
    _entry(b"SELECT", b"0"),
    b"#TS:1700000000\r\n",
    _entry(b"SET", b"a", b"\x00" * 40),
    _entry(b"MULTI")
    + _entry(b"HSET", b"h", b"f", b"1\r\n")
    + _entry(b"incr", b"n")
    + _entry(b"EXEC"),
    _entry(b"XADD", b"l", b"1-0", b"d", b"\r\n*1\r\n$4\r\nxy"),
]
WHOLE = b"".join(PIECES)
ENDS = [0, *(len(b"".join(PIECES[:n])) for n in range(1, len(PIECES) + 1))]


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The last file of a log; the test writes what is in it."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of files
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.1.base.rdb seq 1 type b\n"
        "file appendonly.aof.1.incr.aof seq 1 type i\n"
        "file appendonly.aof.2.incr.aof seq 2 type i\n"
    )
    return folder / "appendonly.aof.2.incr.aof"


def _mend(file: Path, content: bytes, thoroughly: bool = True) -> tuple[str | None, bytes, bytes]:
    """What is said, what is left, and what was cut and kept."""
    file.write_bytes(content)
    said = aof.mend(file.parents[1], thoroughly)
    torn = list(file.parent.glob("torn-*"))
    cut = b"".join(path.read_bytes() for path in torn)
    for path in torn:
        path.unlink()
    return said, file.read_bytes(), cut


@pytest.mark.parametrize("zeros", [0, 1, 12, 5000])
def test_torn_end_is_cut_wherever_it_was_torn(file: Path, zeros: int) -> None:
    """At every byte: what is whole stays, a transaction is whole or gone, what is cut is kept."""
    for size in range(1, len(WHOLE) + 1):
        content = WHOLE[:size] + bytes(zeros)
        end = max(end for end in ENDS if end <= size)
        said, left, cut = _mend(file, content)
        assert (WHOLE[:end], content[end:]) == (left, cut), size
        assert (len(content) == end) == (said is None)


@pytest.mark.parametrize("content", [b"", WHOLE])
@pytest.mark.parametrize("thoroughly", [False, True])
def test_whole_file_is_left_alone(file: Path, content: bytes, thoroughly: bool) -> None:
    """There is nothing to do, and nothing is said."""
    assert (None, content, b"") == _mend(file, content, thoroughly)


def test_missing_log_is_no_damage(tmp_path: Path) -> None:
    """The first start has none."""
    assert aof.mend(tmp_path, thoroughly=True) is None


def test_damage_before_the_end_is_refused(file: Path) -> None:
    """A spoilt byte with whole entries behind it is none of a power loss: nothing is cut."""
    refused = 0
    for place in range(ENDS[4]):
        content, said = WHOLE[:place] + b"\xff" + WHOLE[place + 1 :], None
        try:
            said, _, _ = _mend(file, content)
        except StackError:
            refused += 1
        assert (None, content) == (said, file.read_bytes()), place
    assert refused > ENDS[4] / 2  # a spoilt value is still a value


def test_length_that_grew_is_no_torn_end(file: Path) -> None:
    """It looks like an entry that the file ends in; what follows it tells."""
    content = WHOLE.replace(b"$40\r\n", b"$9999\r\n")
    with pytest.raises(StackError, match="is damaged at byte"):
        _mend(file, content)
    assert content == file.read_bytes()


@pytest.mark.parametrize("looked_at", [1 << 20, 700])
def test_torn_end_is_measured_and_left_as_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch, looked_at: int
) -> None:
    """Wherever it is torn, of a short file and at the end of a long one."""
    monkeypatch.setattr(aof, "_LOOKED_AT_BYTES", looked_at)
    monkeypatch.setattr(aof, "_PAUSE_S", 0)
    monkeypatch.setattr(aof, "_LOOKS", 1)
    for size in range(1, len(WHOLE) + 1, 3):
        content = WHOLE * 5 + WHOLE[:size]
        file.write_bytes(content)
        whole = max(end for end in ENDS if end <= size)
        assert size - whole == aof.torn_bytes(file.parents[1])
        assert content == file.read_bytes()


def test_end_is_not_torn_while_it_is_written(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Valkey may run: half an entry is the beginning of a whole one."""
    file.write_bytes(WHOLE + PIECES[2][:9])
    monkeypatch.setattr("time.sleep", lambda _: file.write_bytes(WHOLE + PIECES[2]))
    assert 0 == aof.torn_bytes(file.parents[1])

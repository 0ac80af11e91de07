"""The ledger file: what is written is what is read, and what is damaged is said to be."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.ledger.checker import Checker
from ops.ledger.file import (
    Header,
    LedgerFileError,
    config_record,
    header_line,
    open_text,
    read_header,
    read_records,
    record_line,
)
from services.pool.rule import fairness
from services.pool.rule.replay import (
    DiscrepancyError,
    DrawRecord,
    EntryRecord,
    GapRecord,
    LedgerRecord,
)
from services.pool.rule.terms import Stock
from tests.support.draws import SEED

COMMITMENT = fairness.commitment(SEED).hex()
HEADER = Header(7, 3, COMMITMENT, SEED.hex(), 20, 2)
DOCUMENT = (
    '{"mode": "POOL_MODE_ODDS", "status": "POOL_STATUS_OPEN",'
    ' "prizes": [{"prize_id": "1", "name": "Bär 赏", "units": "5", "weight": "10"}]}'
)
CONFIG = config_record(DOCUMENT, [[1, 5, 5]], 0, 2, 1_700_000_000_000, "ab" * 20)
ENTRY = EntryRecord(
    1,
    1_700_000_000_001,
    2,
    [DrawRecord(1 << 52, 'a "quoted" \\ one', 0, 1, 1, 0, 10, 999_999_990, 1_000_000_000)],
    "cd" * 20,
)
RECORDS: list[LedgerRecord] = [
    CONFIG,
    ENTRY,
    GapRecord(2, 2_001_001),
    EntryRecord(2_001_002, 5, 2, [], None),
]


@pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.jsonl.gz"])
def test_file_gives_back_what_was_written(tmp_path: Path, name: str) -> None:
    """Every record, to the letter, plain and compressed."""
    with open_text(tmp_path / name, "w") as lines:
        for line in (header_line(HEADER), *map(record_line, RECORDS)):
            lines.write(line + "\n")
    with open_text(tmp_path / name, "r") as lines:
        assert HEADER == read_header(next(lines))
        assert RECORDS == list(read_records(lines))
    is_compressed = (tmp_path / name).read_bytes()[:2] == b"\x1f\x8b"
    assert name.endswith(".gz") == is_compressed


def test_header_may_lack_seed_and_activity() -> None:
    """Before the reveal there is no seed; a blind box has no activity."""
    header = Header(7, None, COMMITMENT, None, 0, 0)
    assert header == read_header(header_line(header))


def _body(**change: Any) -> str:
    body = {**json.loads(header_line(HEADER)), **change}
    return json.dumps({name: value for name, value in body.items() if value != "absent"})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "hello",
        "\x00",
        _body(kind="entry"),
        _body(format=2),
        _body(format="1"),
        _body(pool_id="7"),
        _body(seed_commitment="xyz"),
        _body(seed="00"),
        _body(seq="absent"),
        _body(more=1),
    ],
)
def test_header_is_refused_in_words_when_it_is_none(line: str) -> None:
    """A file of something else is told from a ledger file."""
    with pytest.raises(LedgerFileError, match="this is no ledger file: "):
        read_header(line)


def _line(record: Any, **change: Any) -> str:
    return json.dumps({**json.loads(record_line(record)), **change})


_DRAW: list[Any] = [1, "r", 0, 1, 1, 0, 10, 20, 30]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1]",
        _line(ENTRY, kind="draws"),
        _line(ENTRY, link=7),
        _line(ENTRY, first_seq="1"),
        _line(ENTRY, draws=[[1, 2]]),
        _line(ENTRY, draws=[_DRAW[:8]]),
        _line(ENTRY, draws=[[*_DRAW[:3], "1", *_DRAW[4:]]]),
        _line(ENTRY, draws=[[*_DRAW[:8], 1.5]]),
        _line(ENTRY, draws=[[*_DRAW[:8], None]]),
        _line(ENTRY, more=1),
        _line(GapRecord(1, 2), last_seq=None),
        _line(CONFIG, config={}),
        _line(CONFIG, units="all"),
        record_line(ENTRY)[:-20],
    ],
)
def test_record_is_refused_with_its_line_when_it_is_unfit(line: str) -> None:
    """Where a file is broken is said; numbers are numbers, no field is missing or too many."""
    lines = [record_line(CONFIG), line, record_line(ENTRY)]
    with pytest.raises(LedgerFileError, match="line 3 is unfit: "):
        list(read_records(lines))


@pytest.mark.parametrize(
    ("document", "units"),
    [
        ("{", [[1, 5, 5]]),
        ("[]", [[1, 5, 5]]),
        ('{"odds": 1}', [[1, 5, 5]]),
        ('{"mode": "POOL_MODE_ODDS"}', [[1, 5, 5]]),
        (DOCUMENT.replace('"10"', '"1000000001"'), [[1, 5, 5]]),
        (DOCUMENT, [[1]]),
        (DOCUMENT, [7]),
    ],
)
def test_configuration_of_no_sense_is_a_discrepancy_after_the_draw_before(
    document: str, units: list[Any]
) -> None:
    """It is in the file, well-formed, and no configuration: somebody changed it."""
    with pytest.raises(DiscrepancyError, match="Configuration 2 is unfit: ") as found:
        config_record(document, units, 8, 2, 1, "ab" * 20)
    assert 9 == found.value.seq


def test_configuration_keeps_its_text_and_reads_it() -> None:
    """The very text is what the link binds; the prizes are what it says."""
    assert (DOCUMENT, [Stock(1, 5, 5)]) == (CONFIG.document, CONFIG.stocks)
    assert [(1, "Bär 赏", 5, 10)] == [
        (prize.prize_id, prize.name, prize.units, prize.weight) for prize in CONFIG.config.prizes
    ]


def _truncated(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def _flipped(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 8]) + whole[-8:]


def _not_text(whole: bytes) -> bytes:
    return gzip.compress(b"\xff\xfe\xfd" * 9)


def _not_compressed(whole: bytes) -> bytes:
    return gzip.decompress(whole)


@pytest.mark.parametrize("damage", [_truncated, _flipped, _not_text, _not_compressed])
def test_damaged_file_is_refused_in_words(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Whatever the medium did to it, one error says that it cannot be read."""
    path = tmp_path / "ledger.jsonl.gz"
    with open_text(path, "w") as lines:
        lines.write(header_line(HEADER) + "\n")
        lines.writelines(record_line(record) + "\n" for record in RECORDS * 50)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(LedgerFileError), open_text(path, "r") as lines:
        list(lines)


@pytest.mark.parametrize("mode", ["r", "w"])
def test_file_that_cannot_be_opened_is_refused_in_words(tmp_path: Path, mode: Any) -> None:
    """A folder that is not there is no fault of the program."""
    with (
        pytest.raises(LedgerFileError, match="No such file"),
        open_text(tmp_path / "no" / "ledger", mode),
    ):
        pass


def _check(header: Header, *records: Any) -> int:
    checker = Checker(header, SEED, lambda _: None)
    for record in records:
        checker.feed(record)
    return checker.finish()


def test_checker_names_the_end_that_is_missing_or_too_much() -> None:
    """A ledger ends with the draw and the configuration that its header names."""
    gap = GapRecord(1, 20)
    whole = Header(7, 3, COMMITMENT, None, 20, 0)
    assert 0 == _check(whole, gap)
    short = [(whole, GapRecord(1, 12), 13), (whole, GapRecord(1, 25), 21)]
    newer = Header(7, 3, COMMITMENT, None, 20, 9)
    for header, record, first in [*short, (newer, gap, 21)]:
        with pytest.raises(DiscrepancyError) as found:
            _check(header, record)
        assert first == found.value.seq


def test_checker_tells_how_far_it_is() -> None:
    """Now and then, and at the end."""
    told: list[int] = []
    checker = Checker(Header(7, 3, COMMITMENT, None, 12_002, 0), SEED, told.append)
    for first, last in ((1, 1), (2, 6000), (6001, 6001), (6002, 12_000), (12_001, 12_002)):
        checker.feed(GapRecord(first, last))
    checker.finish()
    assert [6000, 12_000, 12_002] == told

"""
The ledger file: one JSON object a line, gzip where the name ends in .gz.

The first line names the pool, its commitment and its seed, once revealed. Then come
configurations, gaps and entries in the order of the ledger:

    {"kind": "pool", "format": 1, "pool_id": …, "activity_id": … (null: a blind box),
     "seed_commitment": hex, "seed": hex or null, "seq": newest draw, "version": newest
     configuration}
    {"kind": "config", "after_seq": …, "version": …, "config": text, "changed_ms": …, "link": hex,
     "units": [[prize, units in all, units left], …]}
    {"kind": "gap", "first_seq": …, "last_seq": …}
    {"kind": "entry", "first_seq": …, "drawn_ms": …, "version": …, "link": hex, "draws":
     [[user, request_id, index, count, user_draw_no, prize (0: a miss), ticket, weight, total], …]}
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, cast

from google.protobuf import json_format
from kuji.draw.v1 import pool_pb2
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.common.errors import InvalidArgumentError
from services.pool.configuration import config_of
from services.pool.rule.replay import (
    ConfigRecord,
    DiscrepancyError,
    DrawRecord,
    EntryRecord,
    GapRecord,
    LedgerRecord,
)
from services.pool.rule.terms import Stock

_HEX_64 = "^[0-9a-f]{64}$"
_Draw = tuple[int, str, int, int, int, int, int, int, int]


class LedgerFileError(Exception):
    """The file is not a ledger file, or cannot be read."""


@dataclass(frozen=True, slots=True)
class Header:
    """
    Whose ledger it is.

    Args:
        activity_id: None: a blind box's.
        seed_commitment: Hexadecimal.
        seed: Hexadecimal; None before the reveal.
        seq: Newest draw in the file.
        version: Newest configuration in the file.
    """

    pool_id: int
    activity_id: int | None
    seed_commitment: str
    seed: str | None
    seq: int
    version: int


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _PoolLine(_Line):
    kind: Literal["pool"]
    format: Literal[1]
    pool_id: int
    activity_id: int | None
    seed_commitment: str = Field(pattern=_HEX_64)
    seed: str | None = Field(pattern=_HEX_64)
    seq: int
    version: int


class _ConfigLine(_Line):
    kind: Literal["config"]
    after_seq: int
    version: int
    config: str
    units: list[Any]
    changed_ms: int
    link: str


class _GapLine(_Line):
    kind: Literal["gap"]
    first_seq: int
    last_seq: int


class _EntryLine(_Line):
    kind: Literal["entry"]
    first_seq: int
    drawn_ms: int
    version: int
    link: str | None
    draws: list[_Draw]


_RECORD_LINE: TypeAdapter[_ConfigLine | _GapLine | _EntryLine] = TypeAdapter(
    Annotated[_ConfigLine | _GapLine | _EntryLine, Field(discriminator="kind")]
)


@contextmanager
def open_text(path: Path, mode: Literal["r", "w"]) -> Iterator[TextIO]:
    """
    *path* as text, through gzip where its name ends in .gz.

    Raises:
        LedgerFileError: It cannot be opened, read or written, now or inside.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with cast(TextIO, opened(path, f"{mode}t", encoding="utf-8")) as lines:
            yield lines
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise LedgerFileError(str(error)) from error


def header_line(header: Header) -> str:
    """The first line."""
    return _PoolLine(kind="pool", format=1, **asdict(header)).model_dump_json()


def record_line(record: LedgerRecord) -> str:
    """The line of *record*."""
    match record:
        case EntryRecord():
            body: dict[str, Any] = {"kind": "entry", **asdict(record)}
        case GapRecord():
            body = {"kind": "gap", **asdict(record)}
        case ConfigRecord():
            body = {
                "kind": "config",
                "after_seq": record.after_seq,
                "version": record.version,
                "config": record.document,
                "units": record.stocks,
                "changed_ms": record.changed_ms,
                "link": record.link,
            }
    return json.dumps(body, separators=(",", ":"))


def read_header(line: str) -> Header:
    """The first line, read; LedgerFileError when it is none."""
    try:
        body = _PoolLine.model_validate_json(line)
    except ValidationError as error:
        raise LedgerFileError(f"this is no ledger file: {_sentence(error)}") from error
    return Header(**body.model_dump(exclude={"kind", "format"}))


def read_records(lines: Iterable[str]) -> Iterator[LedgerRecord]:
    """
    The lines after the first, read.

    Raises:
        LedgerFileError: Names the line that is unfit.
        DiscrepancyError: A configuration is none.
    """
    for number, line in enumerate(lines, start=2):
        try:
            body = _RECORD_LINE.validate_json(line)
        except ValidationError as error:
            raise LedgerFileError(f"line {number} is unfit: {_sentence(error)}") from error
        yield _record(body)


def _record(line: _ConfigLine | _GapLine | _EntryLine) -> LedgerRecord:
    match line:
        case _EntryLine():
            draws = list(map(DrawRecord._make, line.draws))
            return EntryRecord(line.first_seq, line.drawn_ms, line.version, draws, line.link)
        case _GapLine():
            return GapRecord(line.first_seq, line.last_seq)
        case _ConfigLine():
            facts = line.model_dump(exclude={"kind", "config"})
            return config_record(document=line.config, **facts)


def config_record(
    document: str, units: list[Any], after_seq: int, version: int, changed_ms: int, link: str
) -> ConfigRecord:
    """A configuration from its JSON text and units; DiscrepancyError when they are none."""
    try:
        config = config_of(json_format.Parse(document, pool_pb2.PoolConfig()))
        stocks = [Stock(*stock) for stock in units]
    except (json_format.ParseError, InvalidArgumentError, TypeError) as error:
        reason = f"Configuration {version} is unfit: {error}"
        raise DiscrepancyError(after_seq + 1, reason) from error
    return ConfigRecord(after_seq, version, config, document, stocks, changed_ms, link)


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]

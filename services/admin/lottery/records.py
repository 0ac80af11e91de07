"""An activity's recorded draws as CSV, in pieces of bounded size."""

import csv
from codecs import BOM_UTF8
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from io import StringIO

from services.admin.models import ExportedDraw, RecordSpan
from services.admin.store import Store
from services.common.draw_id import DrawId
from services.common.errors import ActivityNotFoundError
from services.common.timestamps import text_of

_Cell = str | int | float | DrawId


class Format(StrEnum):
    """What an export looks like; each is CSV."""

    SPREADSHEET = "spreadsheet"  # begins with a byte order mark: else some show "赏" as "èµ"
    PLAIN = "plain"  # the same without it, for programs
    DELIVERY = "delivery"  # who gets what, and where


# Over HTTP a stream that fails midway ends like one that is complete: the text has to tell.
INCOMPLETE = "INCOMPLETE: the export failed here; repeat it"
CHUNK_ROWS = 1000
CONTENT_TYPE = "text/csv; charset=utf-8"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class RecordsExport:
    """
    Reads an activity's draws by their place in the ledger: nothing is held between two pieces.

    Args:
        chunk_rows: Draws in one piece.
    """

    def __init__(self, store: Store, chunk_rows: int = CHUNK_ROWS) -> None:
        self._store = store
        self._chunk_rows = chunk_rows

    async def pieces(
        self, activity_id: int, won_only: bool, kind: Format = Format.SPREADSHEET
    ) -> AsyncIterator[bytes]:
        """
        The CSV, whole lines at a time: the columns' names, then the draws recorded by now.

        Args:
            won_only: Leave out the misses; a delivery list always does.

        Raises:
            ActivityNotFoundError: No such activity; nothing was given yet.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: After the line INCOMPLETE.
        """
        pool_id = await self._store.pool_of_activity(activity_id)
        if pool_id is None:
            raise ActivityNotFoundError
        last = await self._store.recorded_seq(pool_id)
        is_delivery = kind is Format.DELIVERY
        span = RecordSpan(pool_id, after=0, last=last, won_only=won_only or is_delivery)
        columns = DELIVERY_COLUMNS if is_delivery else COLUMNS
        yield beginning(kind is Format.PLAIN) + lines([columns])
        try:
            while records := await self._store.records(span, self._chunk_rows):
                yield lines([[_COLUMNS[name](record) for name in columns] for record in records])
                span = replace(span, after=records[-1].seq)
        except Exception:
            yield lines([(INCOMPLETE,)])
            raise


def beginning(is_plain: bool) -> bytes:
    """What stands before the first line."""
    return b"" if is_plain else BOM_UTF8


def lines(rows: Iterable[Sequence[object]]) -> bytes:
    """*rows* as CSV."""
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def as_text(cell: str) -> str:
    """*cell* such that a spreadsheet does not take it for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


_COLUMNS: Mapping[str, Callable[[ExportedDraw], _Cell]] = {
    "draw_id": lambda record: DrawId(record.pool_id, record.seq),
    "activity_id": lambda record: record.activity_id,
    "user_id": lambda record: record.user_id,
    "username": lambda record: as_text(record.username),
    "prize_id": lambda record: record.prize_id or "",
    "prize_name": lambda record: as_text(record.prize_name),
    "won": lambda record: "true" if record.prize_id else "false",
    "request_id": lambda record: as_text(record.request_id),
    "created_at": lambda record: text_of(record.created_at),
    "odds": lambda record: record.odds_weight / record.odds_total,
    "prize_code": lambda record: record.prize_code,
    "email": lambda record: as_text(record.email),
    "status": lambda record: record.claim_status,
}
COLUMNS = tuple(_COLUMNS)
DELIVERY_COLUMNS = (
    *("prize_name", "prize_code", "status", "username", "email", "user_id"),
    *("created_at", "draw_id"),
)

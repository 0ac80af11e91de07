"""An activity's recorded draws as CSV, in pieces of bounded size."""

import csv
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC
from io import StringIO

from services.admin.models import Record, RecordSpan
from services.admin.store import Store
from services.common.draw_id import DrawId
from services.common.errors import ActivityNotFoundError

COLUMNS = (
    "draw_id",
    "activity_id",
    "user_id",
    "username",
    "prize_id",
    "prize_name",
    "won",
    "request_id",
    "created_at",
    "odds",
)
# Over HTTP a stream that fails midway ends like one that is complete: the text has to tell.
INCOMPLETE = "INCOMPLETE: the export failed here; repeat it"
CHUNK_ROWS = 1000
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

    async def pieces(self, activity_id: int, won_only: bool) -> AsyncIterator[bytes]:
        """
        The CSV, whole lines at a time: the columns' names, then the draws recorded by now.

        Raises:
            ActivityNotFoundError: No such activity; nothing was given yet.
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: After the line INCOMPLETE.
        """
        pool_id = await self._store.pool_of_activity(activity_id)
        if pool_id is None:
            raise ActivityNotFoundError
        last = await self._store.recorded_seq(pool_id)
        span = RecordSpan(pool_id, after=0, last=last, won_only=won_only)
        yield _lines([COLUMNS])
        try:
            while records := await self._store.records(span, self._chunk_rows):
                yield _lines(map(_cells, records))
                span = replace(span, after=records[-1].seq)
        except Exception:
            yield _lines([(INCOMPLETE,)])
            raise


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(record: Record) -> tuple[object, ...]:
    won = record.prize_id is not None
    return (
        DrawId(record.pool_id, record.seq),
        record.activity_id,
        record.user_id,
        as_text(record.username),
        record.prize_id if won else "",
        as_text(record.prize_name),
        "true" if won else "false",
        as_text(record.request_id),
        record.created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        record.odds_weight / record.odds_total,
    )


def as_text(cell: str) -> str:
    """*cell* such that a spreadsheet does not take it for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell

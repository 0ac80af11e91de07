"""The audit log as CSV, in pieces of bounded size."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from services.admin.lottery.records import INCOMPLETE, as_text, beginning, lines
from services.admin.models import AuditEntry, AuditSpan
from services.admin.store import Store
from services.common.timestamps import text_of

CHUNK_ENTRIES = 500

_COLUMNS: Mapping[str, Callable[[AuditEntry], str | int]] = {
    "audit_id": lambda entry: entry.audit_id,
    "created_at": lambda entry: text_of(entry.created_at),
    "username": lambda entry: as_text(entry.username),
    "action": lambda entry: entry.action,
    "subject": lambda entry: as_text(entry.subject),
    "detail": lambda entry: entry.detail,
}
COLUMNS = tuple(_COLUMNS)


class AuditExport:
    """Reads the log by its entries' numbers: nothing is held between two pieces."""

    def __init__(self, store: Store, chunk_entries: int = CHUNK_ENTRIES) -> None:
        self._store = store
        self._chunk_entries = chunk_entries

    async def pieces(self, span: AuditSpan, is_plain: bool = False) -> AsyncIterator[bytes]:
        """
        The CSV, whole lines at a time, oldest first: the entries that there are by now.

        Args:
            is_plain: Without the byte order mark that spreadsheets want.

        Raises:
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError: After the line INCOMPLETE.
        """
        last = await self._store.last_audit_id()
        yield beginning(is_plain) + lines([COLUMNS])
        try:
            while entries := await self._store.audit_span(span, last, self._chunk_entries):
                yield lines([[cell(entry) for cell in _COLUMNS.values()] for entry in entries])
                span = replace(span, after=entries[-1].audit_id)
        except Exception:
            yield lines([(INCOMPLETE,)])
            raise

"""The debug log: a line of JSON for each call."""

import json
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType

from ops.errors import OperatorError
from ops.ghz.statistics import CallResult


class DebugLog:
    """Writes to *path*; with an empty one, nothing."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: TextIOWrapper | None = None

    def __enter__(self) -> "DebugLog":
        try:
            self._file = Path(self._path).open("w") if self._path else None
        except OSError as error:
            raise OperatorError(f"debug: {self._path}: {error.strerror}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def note(self, result: CallResult) -> None:
        """A call that ended."""
        if self._file is None:
            return
        line = {
            "level": "debug",
            "time": datetime.now(UTC).isoformat(),
            "message": "Received RPC Stats",
            "code": result.status,
            "error": result.error,
            "duration": result.latency_ns / 1e9,
        }
        print(json.dumps(line), file=self._file)

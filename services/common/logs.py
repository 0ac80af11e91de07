"""Logs as JSON lines on stderr, one event each."""

import logging
import sys
import threading
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict

from services.common.outages import is_outage, told
from services.common.traces.local import current_trace_id

# asyncpg, when a call is given up within a transaction, or its connection is cut.
_ROLLED_BACK = "Resetting connection with an active transaction"
_python = logging.getLogger("python")


class _Steady:
    """A stream that never fails: a log on a full disk is no reason to fail a call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Libraries(logging.Handler):
    """What libraries log, in lines like ours; what they met as an outage is no error."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        error = record.exc_info[1] if record.exc_info else None
        said = record.getMessage()
        if error is not None and is_outage(error):
            log.warning(said, logger=record.name, error=told(error))
        elif said.startswith(_ROLLED_BACK):
            log.warning(said, logger=record.name)
        else:
            log.log(record.levelno, said, logger=record.name, exc_info=error)


def _add_trace(_: object, __: str, event: EventDict) -> EventDict:
    """The trace that the event is part of, unless it names another."""
    if trace_id := current_trace_id():
        event.setdefault("trace_id", trace_id)
    return event


def configure_logs(service: str, level: str) -> None:
    """Log as *service* from *level* ("debug" … "error") up."""
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without local variables: passwords and tokens are among them.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Steady(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def log_what_python_says() -> None:
    """Log what Python would write past the log: of threads, finalizers, warnings."""
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_ended
    sys.unraisablehook = _not_raised


def _thread_ended(ended: "threading.ExceptHookArgs") -> None:
    if not issubclass(ended.exc_type, SystemExit):
        _python.error("a thread ended", exc_info=ended.exc_value)


def _not_raised(raised: "sys.UnraisableHookArgs") -> None:
    _python.error(raised.err_msg or "not raised", exc_info=raised.exc_value)

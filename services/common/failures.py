"""Any exception as an error of the house: what is unknown leaves bare, and is logged in full."""

import uuid

import asyncpg
import structlog

from services.common.errors import InternalError, InvalidArgumentError, KujiError, UnavailableError
from services.common.outages import is_outage, told
from services.common.traces.local import current_trace_id, keep_current

log = structlog.get_logger()


def to_kuji_error(error: Exception, method: str) -> KujiError:
    """*error* as it may leave the house; what is unknown is logged in full and leaves bare."""
    if isinstance(error, KujiError):
        return error
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return InvalidArgumentError("body", "Text must not hold NUL characters.")
    if is_outage(error):
        keep_current()
        log.warning("dependency unavailable", method=method, error=told(error))
        return UnavailableError()
    return defect(error, method)


def defect(error: Exception | str, method: str) -> InternalError:
    """A defect of ours, logged under the trace id that the caller gets."""
    keep_current()
    trace_id = current_trace_id() or uuid.uuid4().hex
    exc_info = error if isinstance(error, Exception) else None
    log.error("unexpected error", method=method, trace_id=trace_id, exc_info=exc_info)
    return InternalError(trace_id=trace_id)

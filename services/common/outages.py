"""
What an outage is. There is no second list: whoever waits, or answers UNAVAILABLE, asks here.

An outage is a part that is down, slow, read-only, full, restarting, or cut off in the middle of a
word; and two of us that met (a deadlock). Its outcome is unknown, and it passes by itself: callers
get UNAVAILABLE with a hint, work in the background waits, and nothing halts or ends because of it.

Everything else is a defect of ours, or a refusal: a constraint that does not hold, an argument that
does not fit, a statement that is wrong. To wait would not mend it.
"""

import asyncio
import re
from collections.abc import Iterable

import asyncpg
import grpc
from redis import exceptions as redis

from services.common.errors import OverloadedError, UnavailableError
from services.common.status import error_info_of

# By class, and where only some of a class pass by themselves, by code.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATE_CLASSES = (
    "08",  # connection exception
    "28",  # it does not let us in: a password that is being changed
    "53",  # insufficient resources: disk full, out of memory, too many connections
    "57",  # operator intervention: shutting down, starting up, statement timeout
    "58",  # system error: I/O
)
_SQLSTATES = frozenset(
    {
        "25006",  # read-only: a standby, or one that is becoming the primary
        "25P03",  # idle in transaction for too long
        "25P04",  # transaction for too long
        "3D000",  # the database is not there: it is being restored
        "40001",  # two of us met, and one has to repeat
        "40003",
        "40P01",
        "55P03",  # a lock was not to be had in time
    }
)
# A code for much that is wrong of ours; of it, only what a database says while it is put back.
_CLOSED_DATABASE = ("55000", "accepting connections")
# asyncpg says with one class that a connection has gone and that arguments do not fit.
_GONE = re.compile("clos(ed|ing)|released back|another operation")

# redis-py has a class for some of the server's codes.
_REDIS_ERRORS = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.InvalidResponse,  # what was cut off, taken for an answer
    redis.OutOfMemoryError,
    redis.ReadOnlyError,
    redis.ClusterError,
    redis.AskError,
    redis.TryAgainError,
    redis.MasterDownError,
    redis.SlotNotCoveredError,
)
# The others come as text; a pipeline puts the command before it.
_REDIS_CODE = re.compile(
    r"""(?:^|caused error: \(['"])(?:BUSY|MISCONF|NOREPLICAS|UNBLOCKED|UNKILLABLE)\b"""
)

# Codes by which a wire, not a service of the house, ends a call: those say a reason.
_SILENT_CODES = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,  # by the other end, as it stops
        grpc.StatusCode.UNKNOWN,
    }
)
_CUT_OFF = re.compile("RST_STREAM|Concurrent RPC limit")

# What uvloop says when we write into a connection that was reset a moment before.
_CLOSED_HANDLE = "the handler is closed"


def is_outage(error: BaseException) -> bool:
    """Whether *error* says that a part is away; of a group, whether all its members do."""
    match error:
        case BaseExceptionGroup():
            return all(map(is_outage, error.exceptions))
        case UnavailableError() | OverloadedError():
            return True
        case asyncpg.PostgresError():
            return _is_postgres_outage(error)
        case asyncpg.InterfaceError():
            return not isinstance(error, ValueError) and bool(_GONE.search(str(error)))
        case redis.RedisError():
            return isinstance(error, _REDIS_ERRORS) or bool(_REDIS_CODE.search(str(error)))
        case grpc.RpcError():
            return _is_call_cut_off(error)
        case RuntimeError():
            return str(error).endswith(_CLOSED_HANDLE)
    # InternalClientError: a connection was cut as it was taken into use.
    return isinstance(error, OSError | asyncio.IncompleteReadError | asyncpg.InternalClientError)


def told(error: BaseException) -> str:
    """*error* in a line for a log; of a group, its members."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_once(map(told, error.exceptions)))
    return f"{type(error).__name__}: {error}"[:1000]


def _is_postgres_outage(error: asyncpg.PostgresError) -> bool:
    state = str(error.sqlstate or "")
    return (
        state.startswith(_SQLSTATE_CLASSES)
        or state in _SQLSTATES
        or (state == _CLOSED_DATABASE[0] and _CLOSED_DATABASE[1] in str(error))
        or isinstance(error, asyncpg.InvalidCachedStatementError)  # it is prepared anew
    )


def _is_call_cut_off(error: grpc.RpcError) -> bool:
    if not isinstance(error, grpc.aio.AioRpcError):
        return False
    if error_info_of(error) is not None:
        return error.code() is grpc.StatusCode.UNAVAILABLE
    return error.code() in _SILENT_CODES or bool(_CUT_OFF.search(error.details() or ""))


def _once(texts: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(texts)

"""What counts as an outage."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import asyncpg
import grpc
import pytest
import redis.exceptions
import uvloop
from grpc.aio import Metadata
from redis._parsers.base import BaseParser
from redis.asyncio.client import Pipeline

from services.common.errors import ConflictError, OverloadedError, UnavailableError
from services.common.outages import is_outage, told
from services.common.status import details_of

DISK_FULL = "MISCONF Errors writing to the AOF file: No space left on device"


def postgres(sqlstate: str) -> asyncpg.PostgresError:
    """The error that the server tells by this code."""
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": "as it happens"})
    assert sqlstate == error.sqlstate
    return error


def answered(code: grpc.StatusCode, told: str = "", trailer: bytes = b"") -> grpc.aio.AioRpcError:
    """A call that ended so; *trailer*: the reason that a service gave."""
    trailers = Metadata(("grpc-status-details-bin", trailer)) if trailer else Metadata()
    return grpc.aio.AioRpcError(code, Metadata(), trailers, told, "")


def in_pipeline(error: Exception) -> Exception:
    """*error* as a pipeline raises it."""
    Pipeline.annotate_exception(Any, error, 2, ("XADD", "key"))  # type: ignore[arg-type]
    return error


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("08000", "08001", "08003", "08004", "08006", "25006", "25P03", "3D000", "28P01"),
        *("40001", "40P01", "53000", "53100", "53200", "53300", "55P03"),
        *("57014", "57P01", "57P02", "57P03", "57P05", "58000", "58030"),
    ],
)
def test_postgres_is_away_when_it_says_so(sqlstate: str) -> None:
    """Cut off, read-only, full, restarting, slow, or met by another: it passes by itself."""
    assert is_outage(postgres(sqlstate))


@pytest.mark.parametrize(
    "sqlstate",
    [
        *("23000", "23502", "23503", "23505", "23514", "40002"),
        *("22021", "22P02", "25P02", "42501", "42601", "42703", "42P01", "54000", "55000", "P0001"),
        *("XX000", "XX001"),
    ],
)
def test_postgres_is_not_away_when_it_refuses(sqlstate: str) -> None:
    """A constraint, a wrong statement, a right that lacks, a damage: waiting mends none of them."""
    assert not is_outage(postgres(sqlstate))


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InterfaceError("cannot perform operation: connection is closed"),
        asyncpg.InterfaceError("cannot perform operation: another operation is cancelling"),
        asyncpg.InterfaceError("connection has been released back to the pool"),
        asyncpg.InterfaceError("the underlying connection is closed"),
        asyncpg.InterfaceError("pool is closing"),
        asyncpg.ObjectNotInPrerequisiteStateError(
            'database "kuji" is not currently accepting connections'
        ),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is …"),
        asyncpg.InvalidCachedStatementError("the plan is of before a migration"),
        ConnectionResetError("Connection lost"),
        socket.gaierror("no such host"),
        TimeoutError(),
        asyncio.IncompleteReadError(b"", 1),
        RuntimeError(
            "unable to perform operation on <TCPTransport closed=True reading=False 0x7f>; "
            "the handler is closed"
        ),
        redis.exceptions.ConnectionError("Connection closed by server."),
        redis.exceptions.TimeoutError("Timeout reading"),
        redis.exceptions.InvalidResponse("Protocol error"),
        UnavailableError(),
        OverloadedError(),
        ExceptionGroup("two", [TimeoutError(), ExceptionGroup("one", [postgres("53100")])]),
    ],
    ids=told,
)
def test_wire_is_cut_off(error: Exception) -> None:
    """Whatever a client makes of a connection that has gone, it is an outage."""
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.exceptions._base.DataError("invalid input for query argument $1"),
        asyncpg.InterfaceError("the server expects 2 arguments for this query, 1 was passed"),
        asyncpg.InterfaceError("cannot use custom codec on type t"),
        RuntimeError("something of ours"),
        KeyError("version"),
        ConflictError(),
        redis.exceptions.DataError("a value that is no bytes"),
        ExceptionGroup("two", [TimeoutError(), KeyError("version")]),
    ],
    ids=told,
)
def test_defect_is_no_outage(error: Exception) -> None:
    """An argument that does not fit, a refusal, a bug: one among several is enough."""
    assert not is_outage(error)


@pytest.mark.parametrize(
    ("reply", "is_away"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        ("READONLY You can't write against a read only replica.", True),
        ("LOADING Redis is loading the dataset in memory", True),
        ("BUSY Redis is busy running a script.", True),
        ("CLUSTERDOWN The cluster is down", True),
        ("MASTERDOWN Link with MASTER is down", True),
        ("MOVED 3999 127.0.0.1:6381", True),
        ("TRYAGAIN Multiple keys request during rehashing of slot", True),
        ("NOREPLICAS Not enough good replicas to write.", True),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", True),
        ("ERR max number of clients reached", True),
        (DISK_FULL, True),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", False),
        ("ERR unknown command 'DRAW'", False),
        ("NOSCRIPT No matching script.", False),
        ("BUSYGROUP Consumer Group name already exists", False),
    ],
)
def test_redis_is_away_when_its_reply_says_so(reply: str, is_away: bool) -> None:
    """By the code of the reply, alone or in a pipeline; a wrong command is our defect."""
    parse: Callable[[str], Exception] = BaseParser.parse_error
    assert is_away == is_outage(parse(reply))
    assert is_away == is_outage(in_pipeline(parse(reply)))


@pytest.mark.parametrize(
    ("error", "is_away"),
    [
        (answered(grpc.StatusCode.UNAVAILABLE), True),
        (answered(grpc.StatusCode.DEADLINE_EXCEEDED), True),
        (answered(grpc.StatusCode.CANCELLED, "the other end stops"), True),
        (answered(grpc.StatusCode.UNKNOWN, "Stream removed"), True),
        (answered(grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2"), True),
        (answered(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!"), True),
        (answered(grpc.StatusCode.UNAVAILABLE, "", details_of(UnavailableError())), True),
        (answered(grpc.StatusCode.UNAVAILABLE, "", details_of(OverloadedError())), True),
        (answered(grpc.StatusCode.INTERNAL, "a bug", details_of(ConflictError())), False),
        (answered(grpc.StatusCode.UNKNOWN, "a reason", details_of(ConflictError())), False),
        (answered(grpc.StatusCode.INTERNAL, "Exception deserializing response!"), False),
        (answered(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max"), False),
        (answered(grpc.StatusCode.UNIMPLEMENTED), False),
    ],
)
def test_neighbour_is_away_when_no_reason_came(error: grpc.aio.AioRpcError, is_away: bool) -> None:
    """A call that the wire ended is an outage; one that a service refused is what it says."""
    assert is_away == is_outage(error)


def test_outage_is_seen_when_a_connection_was_reset_under_a_write() -> None:
    """uvloop says it in its own way: a RuntimeError, which no client turns into anything else."""

    async def write_into_a_reset_connection() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, *server.getsockname()
        )
        transport.abort()
        await asyncio.sleep(0)
        transport.write(b"x")

    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(RuntimeError) as caught:
        uvloop.run(write_into_a_reset_connection())
    assert is_outage(caught.value)


def test_log_line_says_what_happened() -> None:
    """The class and the sentence; a group's members, each once."""
    group = ExceptionGroup("", [TimeoutError("slow"), TimeoutError("slow"), KeyError("x")])
    assert "TimeoutError: slow; KeyError: 'x'" == told(group)
    assert "ConnectionError: gone" == told(redis.exceptions.ConnectionError("gone"))

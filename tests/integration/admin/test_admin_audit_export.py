"""The audit log as CSV, over gRPC from a real Postgres."""

import csv
import json
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import asyncpg
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kuji.admin.v1.admin_pb2 import StreamAuditLogRequest, UpdateActivityRequest

from services.admin.audit_export import COLUMNS, AuditExport
from services.admin.models import AuditSpan
from services.admin.store import Store
from tests.support.admin import World, open_world


@pytest.fixture
async def world(postgres: asyncpg.Pool, postgres_dsn: str) -> AsyncIterator[World]:
    """A running admin service with two activities, the first renamed."""
    async with open_world(postgres, postgres_dsn) as opened:
        await opened.activity(name="Spring")
        await opened.activity(name="Autumn")
        await opened.admin(UpdateActivityRequest(activity_id=1, name='"Summer", all of it'))
        yield opened


async def export(world: World, **fields: Any) -> list[list[str]]:
    """The lines after the first."""
    pieces = await world.admin.read(StreamAuditLogRequest(format="plain", **fields))
    text = b"".join(piece.data for piece in pieces).decode()
    head, *rows = csv.reader(StringIO(text, newline=""))
    assert list(COLUMNS) == head
    return rows


async def test_export_has_every_change_from_what_to_what(world: World) -> None:
    """Oldest first; a spreadsheet finds the mark that it wants."""
    rows = await export(world)
    assert [("1", "activity.create"), ("2", "activity.create"), ("3", "activity.update")] == [
        (row[0], row[3]) for row in rows
    ]
    assert ["boss", "activity.update", "activity:1"] == rows[2][2:5]
    assert {"name": {"from": "Spring", "to": '"Summer", all of it'}} == json.loads(rows[2][5])
    (first, *_) = await world.admin.read(StreamAuditLogRequest())
    assert first.data.startswith(BOM_UTF8 + b"audit_id,")


async def test_export_is_of_a_subject_or_a_time(world: World) -> None:
    """since is among it, until is not."""
    assert ["1", "3"] == [row[0] for row in await export(world, subject="activity:1")]
    await world.postgres.execute(
        "UPDATE audit_log SET created_at = date_trunc('second', now()) + id * interval '1 second'"
    )
    moments = await world.postgres.fetch("SELECT created_at FROM audit_log ORDER BY id")
    second, third = Timestamp(), Timestamp()
    second.FromDatetime(moments[1][0])
    third.FromDatetime(moments[2][0])
    assert ["2"] == [row[0] for row in await export(world, since=second, until=third)]


async def test_export_goes_on_from_piece_to_piece(world: World) -> None:
    """Whole lines, each entry once, however small the pieces."""
    store = Store(world.postgres)
    pieces = [piece async for piece in AuditExport(store, 2).pieces(AuditSpan(), is_plain=True)]
    assert [1, 2, 1] == [piece.count(b"\r\n") for piece in pieces]

"""Times: Unix milliseconds in the store, timestamptz in Postgres, Timestamp on the wire."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

NEVER_MS = (1 << 53) - 1  # the last moment that the store can hold: what has no start begins then
_EPOCH = datetime.fromtimestamp(0, UTC)


def timestamp_of_ms(ms: int) -> Timestamp:
    """*ms* since the Unix epoch as a protobuf Timestamp."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def timestamp_of(moment: datetime) -> Timestamp:
    """An aware *moment* as a protobuf Timestamp."""
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def optional_timestamp_of(moment: datetime | None) -> Timestamp | None:
    """The same of a *moment* that may be missing."""
    return timestamp_of(moment) if moment else None


def text_of(moment: datetime) -> str:
    """An aware *moment* as RFC 3339 in UTC, to the millisecond: "2026-11-27T09:00:00.250Z"."""
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms_of(moment: datetime) -> int:
    """An aware *moment* as Unix milliseconds."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def datetime_of_ms(ms: int) -> datetime:
    """*ms* since the Unix epoch as an aware datetime, exactly."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)

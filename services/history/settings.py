"""What the history service is told."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field

from services.common.settings import PostgresDsn, RedisUrl, ServiceSettings


def _is_a_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError('a time zone of the IANA database is needed, like "Asia/Shanghai"')
    return name


class HistorySettings(ServiceSettings):
    """
    Settings of the history service.

    Args:
        postgres_dsn: Where the records are.
        redis_url: Where the ledgers and the nudges are.
        auth_address: host:port of the auth service, whose keys sign tokens.
        postgres_connections: At most so many.
        postgres_timeout_s: Bound of one statement.
        redis_timeout_s: Bound of one command.
        page_age_s: Oldest page of the public lists that is served.
        cached_pages: Pages kept, of all lists.
        poll_s: How often the stream of winners looks by itself.
        stream_kept: Of the newest winners so many are kept for listeners that come back or are
            slow.
        stream_listeners: Of the winners' stream at most so many, in this process.
        stream_listeners_of_address: Likewise of one address; of IPv6, of its /64.
        max_connection_calls: Enough for all listeners: the edge has them on few connections.
        stream_heartbeat_s: Longest silence towards a listener.
        time_zone: Whose days the daily records of blind boxes are for; an IANA name.
        daily_records: Of a day so many are listed, the newest.
        tail_draws: Past so many unrecorded draws, lists show only what is recorded.
    """

    postgres_dsn: PostgresDsn
    redis_url: RedisUrl
    auth_address: str
    postgres_connections: int = 8
    postgres_timeout_s: float = 5.0
    redis_timeout_s: float = 2.0
    page_age_s: float = 1.0
    cached_pages: int = 4096
    poll_s: float = 1.0
    stream_kept: int = Field(default=10_000, ge=1)
    stream_listeners: int = Field(default=5000, ge=1)
    stream_listeners_of_address: int = Field(default=2000, ge=1)
    max_connection_calls: int = Field(default=20_000, ge=100)
    stream_heartbeat_s: float = Field(default=10.0, gt=0, le=15)
    time_zone: Annotated[str, AfterValidator(_is_a_time_zone)] = "UTC"
    daily_records: int = Field(default=2000, ge=1)
    tail_draws: int = Field(default=10_000, ge=0)

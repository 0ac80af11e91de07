"""What the history service is told."""

from services.common.settings import ServiceSettings


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
        stream_queue: Winners that may wait for one subscriber.
    """

    postgres_dsn: str
    redis_url: str
    auth_address: str
    postgres_connections: int = 8
    postgres_timeout_s: float = 5.0
    redis_timeout_s: float = 2.0
    page_age_s: float = 1.0
    cached_pages: int = 4096
    poll_s: float = 1.0
    stream_queue: int = 1000

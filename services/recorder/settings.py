"""What the recorder is told."""

from services.common.settings import PostgresDsn, RedisUrl, ServiceSettings


class RecorderSettings(ServiceSettings):
    """
    Settings of the recorder.

    Args:
        postgres_dsn: Where the ledger goes.
        redis_url: Where it comes from.
        postgres_timeout_s: Bound of one statement.
        redis_timeout_s: Bound of one command, beyond the time that a read may block.
        refresh_s: How often unrecorded pools are looked for, told of one or not.
        block_ms: How long a read waits for entries.
        rest_after_s: A pool that got no entries for so long rests, see resting.py.
        rest_block_ms: How long the read of resting pools waits.
        gather_s: Pause after a read that found few: a batch costs much the same, however small.
        read_entries: Entries of one pool taken by one read.
        read_ahead_draws: A pool that has this many waiting is not read further.
        batch_draws: A transaction closes with the entry that reaches it.
        writers: Pools recorded at the same time.
        ledger_keep_draws: Recorded draws that stay in the stream.
    """

    postgres_dsn: PostgresDsn
    redis_url: RedisUrl
    postgres_timeout_s: float = 10.0
    redis_timeout_s: float = 5.0
    refresh_s: float = 5.0
    block_ms: int = 100
    rest_after_s: float = 2.0
    rest_block_ms: int = 10_000
    gather_s: float = 0.1
    read_entries: int = 100
    read_ahead_draws: int = 10_000
    batch_draws: int = 5_000
    writers: int = 4
    ledger_keep_draws: int = 100_000

"""The recorder: carries every pool's ledger from Redis into Postgres, exactly once."""

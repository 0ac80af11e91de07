"""The history service: what happened, read from Postgres and the ledger; and the recorder."""

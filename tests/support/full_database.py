"""A database that says of every write that its disk is full."""

import asyncpg

# 53100, whatever is written, of whatever table.
FILL = """
CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'No space left on device'; END $$;
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
    EXECUTE format('CREATE TRIGGER disk_is_full BEFORE INSERT OR UPDATE OR DELETE ON %I'
      ' FOR EACH STATEMENT EXECUTE FUNCTION disk_is_full()', name);
  END LOOP;
END $$;
"""
EMPTY = "DROP FUNCTION disk_is_full CASCADE"


async def execute(postgres: asyncpg.Connection | asyncpg.Pool, statement: str) -> None:
    """Have *statement* executed, though it may meet the locks of those who write."""
    while True:
        try:
            await postgres.execute(statement)
        except asyncpg.DeadlockDetectedError:  # nothing of it was done
            continue
        return

"""What blind boxes gave: read from Postgres, and from the ledgers what is not there yet."""

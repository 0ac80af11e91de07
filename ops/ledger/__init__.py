"""A pool's ledger as a file that anyone can check, and its way out of Postgres."""

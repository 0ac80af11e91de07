"""The audit of the books: every unit accounted for, in Redis and in Postgres."""

"""A copy of all that Postgres has, its verification, and its way back."""

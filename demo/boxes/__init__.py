"""Act 2: blind boxes, bought by many users at once."""

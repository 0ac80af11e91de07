"""Act 1: an activity of a lottery, drawn from by many users at once."""

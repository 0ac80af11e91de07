"""A second person's approval of what cannot be undone, or changes odds that are in force."""

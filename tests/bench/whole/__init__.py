"""Measurements of a whole stack, through its edge."""

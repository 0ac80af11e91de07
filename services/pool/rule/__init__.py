"""The rule of a draw, pure: no I/O, no clock, no randomness."""

"""Looks at an installation and says what is wrong; it changes nothing."""

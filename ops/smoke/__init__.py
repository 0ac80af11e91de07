"""The smoke test: a small draw on a running installation, from outside, by its edge alone."""

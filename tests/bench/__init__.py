"""Measurements: what a draw costs, against what it could cost at least. See docs/performance.md."""

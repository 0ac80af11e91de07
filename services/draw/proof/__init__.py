"""Draws recomputed, and seeds revealed."""

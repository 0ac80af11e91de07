"""Blind boxes: orders and item cards that draw from boxes."""

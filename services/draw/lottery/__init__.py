"""Draws of activities."""

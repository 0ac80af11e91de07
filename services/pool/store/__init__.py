"""Pools in Redis: keys, packings, scripts."""

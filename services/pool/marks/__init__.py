"""
Marks: how far the changes go that were answered, kept apart from Redis.

A store that is behind a pool's mark is an older copy, and is not used.
"""

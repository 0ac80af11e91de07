"""Restores pools in Redis from Postgres, after Redis came back empty or behind."""

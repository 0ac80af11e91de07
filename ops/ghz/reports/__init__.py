"""Reports in the formats of ghz 0.121."""

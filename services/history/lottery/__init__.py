"""Activities, winners and results, as they are read."""

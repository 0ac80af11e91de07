"""Where the CPU time of a draw goes, by part and by subject."""

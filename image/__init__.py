"""The container image: built and looked at without a daemon."""

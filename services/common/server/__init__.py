"""The gRPC server of every service: access, bounds, errors, deadlines, health, shutdown."""

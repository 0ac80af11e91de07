"""A server on grpc's core without grpc.aio: what has arrived is answered together."""

"""python -m tests.bench.references MODULE PORT: a process of a reference; several share a port."""

import importlib
import socket
import sys

import uvicorn


def main(name: str, port: int) -> None:
    """Serve until it is told to stop."""
    module = importlib.import_module(f"tests.bench.references.{name}")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            module.app, loop="uvloop", http="httptools", access_log=False, log_level="info"
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

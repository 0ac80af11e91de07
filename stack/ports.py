"""Free ports on loopback."""

import random
import socket

# Below the range that the kernel hands to outgoing connections, so that a part which restarts
# finds its port free.
_CANDIDATES = range(20_000, 32_000)
_given: set[int] = set()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on *port* of *host*."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # Bound is not enough: two sockets may share an address until one of them listens.
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that is free now and that this process has not been given before."""
    while True:
        port = random.choice(_CANDIDATES)  # noqa: S311  # no secret
        if port not in _given and is_free(port):
            _given.add(port)
            return port

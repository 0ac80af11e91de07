"""Questions to a process of this machine, over HTTP, bounded in time."""

import asyncio
import http.client
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

UNREACHABLE = (OSError, http.client.HTTPException)

_TIMEOUT_S = 1.0


async def http_get(url: str) -> tuple[int, str]:
    """
    Status and body of a GET of *url*, an http one.

    Raises:
        OSError: No answer within a second.
        http.client.HTTPException: The answer is no HTTP.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    return await asyncio.to_thread(_get, connection, parts.path)


async def http_get_from_socket(file: Path, path: str) -> tuple[int, str]:
    """The same of a process that listens on the socket *file*."""
    return await asyncio.to_thread(_get, _SocketConnection(file), path)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, file: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._file = file

    def connect(self) -> None:
        # A socket's address is short, a folder's may be long: it is named by its descriptor.
        folder = os.open(self._file.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_TIMEOUT_S)
            self.sock.connect(f"/proc/self/fd/{folder}/{self._file.name}")
        finally:
            os.close(folder)


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


async def serves_http(url: str) -> bool:
    """Whether a GET of *url* is answered with 200."""
    try:
        status, _ = await http_get(url)
    except UNREACHABLE:
        return False
    return status == 200

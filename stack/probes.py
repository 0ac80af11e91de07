"""Questions to a process of this machine, over HTTP, bounded in time."""

import asyncio
import http.client
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

UNREACHABLE = (OSError, http.client.HTTPException)

_TIMEOUT_S = 1.0


async def http_get(url: str, certificate: Path | None = None) -> tuple[int, str]:
    """
    Status and body of a GET of *url*; of an https one where the server shows *certificate*.

    Raises:
        OSError: No answer within a second.
        http.client.HTTPException: The answer is no HTTP.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    if certificate is not None:
        believed = certificate_itself(certificate)
        connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=believed)
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


def certificate_itself(file: Path) -> ssl.SSLContext:
    """
    Belief in whoever shows the certificate in *file*, under whatever name, and in nobody else.

    Who runs on a stack's machine knows its certificate, but not by which name others call it.
    """
    context = ssl.create_default_context(cafile=str(file))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


async def serves_http(url: str, certificate: Path | None = None) -> bool:
    """Whether a GET of *url* is answered with 200."""
    try:
        status, _ = await http_get(url, certificate)
    except UNREACHABLE:
        return False
    return status == 200

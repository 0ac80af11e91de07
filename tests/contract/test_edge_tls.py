"""TLS at the edge and behind it; certificates are replaced while calls go on."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from kuji.auth.v1 import auth_pb2, auth_pb2_grpc
from kuji.draw.v1 import draw_pb2

from services.common.channels import open_channel
from services.common.tls_files import TlsFiles
from stack.edge.tls import CertFiles
from tests.contract.edge_rig import Rig, running_rig
from tests.support.certificates import Authority

_PATIENCE_S = 60
AUTHORITY = Authority()


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> TlsFiles:
    folder = tmp_path / "certificates"
    AUTHORITY.issue(folder)
    return TlsFiles(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")


@pytest.fixture(name="rig")
async def _rig(tmp_path: Path, files: TlsFiles) -> AsyncIterator[Rig]:
    """The edge by https, and mTLS behind it."""
    edge = CertFiles(files.cert, files.key)
    async with running_rig(tmp_path, tls=edge, services_tls=files) as rig:
        rig.script.answer("Draw", draw_pb2.DrawResponse())
        yield rig


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(files.cert, files.key)
    context.set_alpn_protocols(["h2"])
    return context


async def _shown_at(port: int, context: ssl.SSLContext) -> int:
    """The serial number of what a server shows to who connects now."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(shown).serial_number


async def _until_shown(port: int, serial: int, context: ssl.SSLContext) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while await _shown_at(port, context) != serial:  # noqa: ASYNC110  # nothing tells us
            await asyncio.sleep(0.05)


async def test_certificates_are_replaced_while_draws_go_on(rig: Rig, files: TlsFiles) -> None:
    """The edge, the services and their clients show the new one; no call fails."""
    context, is_over, codes = _context(files), asyncio.Event(), []
    address = next(one.address for one in rig.upstreams if one.service == "auth")
    headers = {"authorization": f"Bearer {rig.script.token()}"}

    async def draw_on() -> None:
        async with open_channel(address, files) as channel:
            auth = auth_pb2_grpc.AuthServiceStub(channel)
            while not is_over.is_set():
                # Each over a connection of its own, whose handshake may meet the change.
                async with httpx.AsyncClient(base_url=rig.edge.url, verify=context) as http:
                    drawn = await http.post("/api/lottery/draw", json={}, headers=headers)
                codes.append(drawn.status_code)
                await auth.GetJwks(auth_pb2.GetJwksRequest(), timeout=10)

    async with asyncio.TaskGroup() as group:
        group.create_task(draw_on())
        for _ in range(2):
            serial = AUTHORITY.issue(files.cert.parent)
            ports = [int(one.address.rpartition(":")[2]) for one in rig.upstreams]
            for port in (rig.edge.port, *ports):
                await _until_shown(port, serial, context)
            count = len(codes)
            async with asyncio.timeout(_PATIENCE_S):
                while len(codes) < count + 3:  # noqa: ASYNC110  # nothing tells us
                    await asyncio.sleep(0.05)
        is_over.set()
    assert {200} == set(codes)


async def test_service_takes_no_caller_without_a_certificate(rig: Rig, files: TlsFiles) -> None:
    """Nor one with that of a stranger; the clear is no way in."""
    address = next(one.address for one in rig.upstreams if one.service == "auth")
    stranger = Authority("stranger")
    stranger.issue(files.cert.parent / "stranger")
    pair = [(files.cert.parent / "stranger" / name).read_bytes() for name in ("tls.key", "tls.crt")]
    ca = AUTHORITY.pem
    for credentials in (
        grpc.ssl_channel_credentials(ca),
        grpc.ssl_channel_credentials(ca, *pair),
        None,
    ):
        channel = (
            grpc.aio.secure_channel(address, credentials)
            if credentials
            else grpc.aio.insecure_channel(address)
        )
        async with channel:
            stub = auth_pb2_grpc.AuthServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=10)
        assert grpc.StatusCode.UNAVAILABLE is refused.value.code()


async def test_edge_speaks_no_clear_http_where_it_has_a_certificate(rig: Rig) -> None:
    """And it refuses old TLS."""
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.HTTPError):
            await http.get(f"http://127.0.0.1:{rig.edge.port}/healthz")
    old = ssl.create_default_context(cafile=str(rig.edge.tls.cert) if rig.edge.tls else None)
    old.check_hostname = False
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _shown_at(rig.edge.port, old)

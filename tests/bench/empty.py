"""
The empty handler: the draw service's messages and server framework, and nothing behind them.

A process like services.draw: KUJI_LISTEN, KUJI_AUTH_ADDRESS.
"""

import grpc
import uvloop
from google.protobuf.message import Message
from kuji.draw.v1 import draw_pb2

from services.common.context import RequestContext
from services.common.errors import NotFoundError
from services.common.logs import configure_logs
from services.common.server.health import Health
from services.common.server.serve import Implementation, serve_until_stopped
from services.common.settings import ServiceSettings, read_settings
from services.common.timestamps import timestamp_of_ms
from services.common.tokens import TokenVerifier, fetch_jwks_from


class EmptySettings(ServiceSettings):
    """See ServiceSettings; auth_address: host:port of the auth service."""

    auth_address: str


_ANSWER = draw_pb2.DrawResponse(
    result=draw_pb2.DrawResult(
        draw_id="1-1000000",
        odds=0.9,
        drawn_at=timestamp_of_ms(1_700_000_000_123),
        request_id="unary-1-1000000",
        pool_version=1,
        odds_weight=900_000_000,
        odds_total=1_000_000_000,
        activity_id=1,
        ledger_link="0123456789" * 4,
    )
)


class EmptyServicer:
    """kuji.draw.v1.DrawService whose every answer was made long ago."""

    async def Draw(  # noqa: N802
        self, request: draw_pb2.DrawRequest, ctx: RequestContext
    ) -> draw_pb2.DrawResponse:
        """The same answer to all."""
        return _ANSWER

    def __getattr__(self, name: str) -> object:
        """Every other RPC: it has to be there, and nobody calls it."""
        return _refuse


async def _refuse(request: Message, ctx: RequestContext) -> Message:
    raise NotFoundError


async def _main(settings: EmptySettings) -> None:
    draw = draw_pb2.DESCRIPTOR.services_by_name["DrawService"]
    async with grpc.aio.insecure_channel(settings.auth_address) as auth:
        verifier = TokenVerifier(fetch_jwks_from(auth))
        services = [Implementation(EmptyServicer(), draw)]
        await serve_until_stopped(services, verifier, settings, Health())


if __name__ == "__main__":
    read = read_settings(EmptySettings)
    configure_logs("empty", read.log_level)
    uvloop.run(_main(read))

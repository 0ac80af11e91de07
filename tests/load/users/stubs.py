"""
Users of the gRPC stubs.

grpc's own loop is exchanged for gevent's (grpc.experimental.gevent), so calls of many users run at
once in one thread. Answers that stream were seen to hang so: the stream of winners is listened to
by JSON alone, see lottery.Listener.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import grpc
import grpc.experimental.gevent as grpc_gevent
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc
from locust import User, task

from services.common.status import error_info_of
from tests.load.answers import Answer, DrawAnswer, SoldOutAnswer
from tests.load.users.player import book, fresh_id, next_player, plan

_TIMEOUT_S = 30.0


class _Reported(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    """Tells locust of each call: its method, how long it took, and the reason where it failed."""

    def __init__(self, environment: Any) -> None:  # locust has no types
        self._environment = environment

    def intercept_unary_unary(
        self,
        continuation: Callable[..., Any],
        details: Any,
        request: Any,
    ) -> Any:
        """Call, wait, and tell."""
        begun = time.perf_counter()
        call = continuation(details, request)
        error = call.exception()
        info = error_info_of(error) if error is not None else None
        self._environment.events.request.fire(
            request_type="grpc",
            name=details.method,
            response_time=1000 * (time.perf_counter() - begun),
            response_length=0 if error else call.result().ByteSize(),
            exception=Exception(info.reason if info else repr(error.code())) if error else None,
            context={},
        )
        return call


@cache
def _stub(environment: Any) -> draw_pb2_grpc.DrawServiceStub:
    grpc_gevent.init_gevent()
    channel = grpc.insecure_channel(plan().draw)
    reported = grpc.intercept_channel(channel, _Reported(environment))
    return draw_pb2_grpc.DrawServiceStub(reported)


class StubDrawer(User):
    """Draws by gRPC without a pause, each time for another player."""

    @task
    def draws(self) -> None:
        """Once."""
        player = next_player(self.environment)
        request = draw_pb2.DrawRequest(activity_id=plan().activity_id, request_id=fresh_id())
        bearer = (("authorization", f"Bearer {player.token}"),)
        try:
            answer = _stub(self.environment).Draw(request, timeout=_TIMEOUT_S, metadata=bearer)
        except grpc.RpcError:
            return  # the interceptor has told
        book().note(_told(player.user_id, request.request_id, answer.result))


def _told(user_id: int, request_id: str, result: draw_pb2.DrawResult) -> Answer:
    if result.sold_out:
        return SoldOutAnswer(user_id, request_id)
    prize = result.prize
    return DrawAnswer(user_id, request_id, result.draw_id, prize.prize_id, prize.prize_code)

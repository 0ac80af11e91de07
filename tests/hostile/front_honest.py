"""
An honest caller of a draw process, in a process of its own: ADDRESS ACTIVITY TOKEN.

It draws all the time; a line for each draw says how many seconds it took, and how it ended.
"""

import asyncio
import sys
import time
from typing import Any

import grpc
from kuji.draw.v1 import draw_pb2, draw_pb2_grpc

_PAUSE_S = 0.02
_PATIENCE_S = 60


async def _draw(draw: Any, activity_id: int, token: str) -> str:
    try:
        await draw(
            draw_pb2.DrawRequest(activity_id=activity_id),
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=_PATIENCE_S,
        )
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name} {error.details()}"
    return "OK"


async def _main(address: str, activity_id: int, token: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        draw = draw_pb2_grpc.DrawServiceStub(channel).Draw
        while True:
            start = time.monotonic()
            outcome = await _draw(draw, activity_id, token)
            print(time.monotonic() - start, outcome, flush=True)
            await asyncio.sleep(_PAUSE_S)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

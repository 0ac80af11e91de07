"""
One client process of a rush on a box: places its orders all at once, each until it is answered.

Usage: python -m tests.chaos.box_client RUSH, where RUSH is a Rush as JSON. Every outcome is a line
of the file that RUSH names.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from kuji.blindbox.v1 import blindbox_pb2, blindbox_pb2_grpc

from services.common.status import error_info_of

_CALL_TIMEOUT_S = 20
_ATTEMPTS = 50
_PAUSE_S = 0.2
_PASSING = frozenset({"UNAVAILABLE", "OVERLOADED"})


@dataclass(frozen=True)
class Rush:
    """
    What a client is told.

    Args:
        addresses: host:port of each draw process.
        token: A service's.
        orders: Number of each order, and how many tickets it is for; its user is the number.
        sends: How often each order is sent, at the same time.
        outcomes: File to write.
    """

    addresses: Sequence[str]
    token: str
    goods_id: int
    num: int
    orders: Sequence[tuple[int, int]]
    sends: int
    outcomes: str

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


class Given(NamedTuple):
    """An item that an order gave."""

    seq: int
    goods_item_id: int
    prize_code: str
    luck_no: int
    odds_total: int


class Outcome(NamedTuple):
    """What an order was told: the reason why not, or its items."""

    number: int
    tickets: int
    reason: str
    items: Sequence[Given]


class UnansweredError(Exception):
    """An order got no answer, however often it was asked for."""


def order_num_of(number: int) -> str:
    """The name of an order."""
    return f"rush-{number}"


def _items_of(placed: blindbox_pb2.PlaceOrderResponse) -> list[Given]:
    return [
        Given(
            int(proof.draw_id.partition("-")[2]),
            item.goods_item_id,
            item.prize_code,
            item.luck_no,
            proof.odds_total,
        )
        for item, proof in zip(placed.results, placed.proofs, strict=True)
    ]


async def _outcome(
    rush: Rush, stubs: Sequence[Any], number: int, tickets: int, turn: int
) -> Outcome:
    request = blindbox_pb2.PlaceOrderRequest(
        order_num=order_num_of(number),
        user_id=number,
        goods_id=rush.goods_id,
        num=rush.num,
        count=tickets,
    )
    metadata = (("authorization", f"Bearer {rush.token}"),)
    for attempt in range(_ATTEMPTS):
        stub = stubs[(turn + attempt) % len(stubs)]
        try:
            placed = await stub.PlaceOrder(request, timeout=_CALL_TIMEOUT_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            reason = _reason(error)
            if reason not in _PASSING:
                return Outcome(number, tickets, reason, [])
            await asyncio.sleep(_PAUSE_S)
        else:
            return Outcome(number, tickets, "", _items_of(placed))
    raise UnansweredError(order_num_of(number))


def _reason(error: grpc.aio.AioRpcError) -> str:
    info = error_info_of(error)
    if info is not None:
        return str(info.reason)
    lost = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return "UNAVAILABLE" if error.code() in lost else error.code().name


async def rushed(rush: Rush) -> list[Outcome]:
    """Every outcome, of each time that an order was sent."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address))
            for address in rush.addresses
        ]
        stubs = [blindbox_pb2_grpc.BlindBoxServiceStub(channel) for channel in channels]
        calls = [
            _outcome(rush, stubs, number, tickets, number + nth)
            for number, tickets in rush.orders
            for nth in range(rush.sends)
        ]
        return list(await asyncio.gather(*calls))


def write_outcomes(file: Path, outcomes: Sequence[Outcome]) -> None:
    """One a line."""
    file.write_text("".join(f"{json.dumps(outcome)}\n" for outcome in outcomes))


def read_outcomes(file: Path) -> list[Outcome]:
    """What write_outcomes wrote."""
    return [_read(*json.loads(line)) for line in file.read_text().splitlines()]


def _read(number: int, tickets: int, reason: str, items: Sequence[Sequence[Any]]) -> Outcome:
    return Outcome(number, tickets, reason, [Given(*item) for item in items])


if __name__ == "__main__":
    told = Rush(**json.loads(sys.argv[1]))
    write_outcomes(Path(told.outcomes), asyncio.run(rushed(told)))

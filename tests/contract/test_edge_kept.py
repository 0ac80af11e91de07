"""The winner list, kept by the edge for a second: what it spares, and that it obeys no caller."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest
from kuji.history.v1 import history_pb2

from services.common.errors import UnavailableError
from tests.contract.edge_rig import Rig

WINNERS = "/api/lottery/global-history"
KIB = 1024


def _wins(*draw_ids: str) -> history_pb2.ListWinnersResponse:
    return history_pb2.ListWinnersResponse(
        winners=[history_pb2.Winner(draw_id=draw_id) for draw_id in draw_ids]
    )


def _asked(rig: Rig) -> int:
    return sum(name == "ListWinners" for name, _, _ in rig.script.requests)


async def test_winner_list_is_asked_for_once_within_a_second(rig: Rig) -> None:
    """However many ask, with a token or without, the history service is asked once a second."""
    rig.script.answer("ListWinners", _wins("1-1"))
    path = f"{WINNERS}?page=11"
    bodies = [(await rig.call("GET", path, role)).json() for role in (None, "user", None)]
    assert [bodies[0]] * 3 == bodies
    assert 1 <= _asked(rig) <= 2  # two where a second ends in between


async def test_winner_list_is_fresh_when_a_second_has_passed(rig: Rig) -> None:
    """The edge shows a new winner within a second."""
    rig.script.answer("ListWinners", _wins("1-1"))
    path = f"{WINNERS}?page=12"
    await rig.call("GET", path)
    rig.script.answer("ListWinners", _wins("1-2", "1-1"))
    changed = asyncio.get_running_loop().time()
    while len((await rig.call("GET", path)).json()["data"]["winners"]) < 2:
        assert asyncio.get_running_loop().time() < changed + 5
    assert 2 <= _asked(rig)


async def test_winner_list_is_not_kept_when_it_failed(rig: Rig) -> None:
    """A failure is over when it is over."""
    path = f"{WINNERS}?page=13"
    rig.script.answer("ListWinners", UnavailableError())
    assert 503 == (await rig.call("GET", path)).status_code
    rig.script.answer("ListWinners", _wins("1-1"))
    assert 200 == (await rig.call("GET", path)).status_code


HEADERS = [
    {"cache-control": "no-cache"},
    {"cache-control": "no-store, max-age=0"},
    {"pragma": "no-cache"},
    {"if-none-match": '"x"'},
    {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"range": "bytes=0-10"},
    {"host": "elsewhere.example"},
    {"x-forwarded-proto": "https"},
    {"accept-encoding": "br"},
]


@pytest.mark.parametrize(("page", "headers"), list(enumerate(HEADERS, start=30)), ids=str)
async def test_callers_have_no_say_in_what_is_kept(
    rig: Rig, page: int, headers: dict[str, str]
) -> None:
    """Whatever headers come, the answer is whole and history is asked once a second."""
    rig.script.answer("ListWinners", _wins("1-1"))
    began = asyncio.get_running_loop().time()
    for _ in range(50):
        response = await rig.http.get(f"{WINNERS}?page={page}", headers=headers)
        assert 200 == response.status_code
        assert "1-1" == response.json()["data"]["winners"][0]["draw_id"]
    # One connection is one worker's; it asks anew shortly before a second has passed.
    took_s = asyncio.get_running_loop().time() - began
    assert 1 <= _asked(rig) <= 1 + took_s / 0.8


async def test_order_of_parameters_makes_no_other_page(rig: Rig) -> None:
    """The same question is the same, however it is put."""
    rig.script.answer("ListWinners", _wins("1-1"))
    for query in ("page=16&page_size=7", "page_size=7&page=16", "page=16&&page_size=7&"):
        await rig.call("GET", f"{WINNERS}?{query}")
    assert 1 == _asked(rig)


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def _ask(rig: Rig, pages: Iterable[int]) -> None:
    for page in pages:
        async with rig.http.stream("GET", f"{WINNERS}?page={page}") as response:
            assert 200 == response.status_code
            async for _ in response.aiter_raw():
                pass


async def test_memory_is_bounded_whatever_is_asked_for(rig: Rig) -> None:
    """A page for each caller's fancy: 20 MiB of answers leave nothing of their size behind."""
    row = history_pb2.Winner(draw_id="1-1", prize_name="x" * 400)
    rig.script.answer("ListWinners", history_pb2.ListWinnersResponse(winners=[row] * 100))
    await _ask(rig, range(10_000, 10_200))
    before = _resident_kib(rig.pid)
    await _ask(rig, range(20_000, 20_400))
    assert _resident_kib(rig.pid) - before < 10 * KIB


async def test_each_worker_of_the_edge_asks_once_a_second(rig: Rig) -> None:
    """Once a second; only those ask too who come before that one's answer is there."""
    rig.script.answer("ListWinners", _wins("1-1"))
    url, clock = f"{rig.edge.url}{WINNERS}?page=15", asyncio.get_running_loop().time
    callers, calls = 10, 30

    async def ask() -> None:
        async with httpx.AsyncClient(timeout=20) as http:
            for _ in range(calls):
                assert 200 == (await http.get(url)).status_code

    began = clock()
    await asyncio.gather(*(ask() for _ in range(callers)))
    seconds = 1 + (clock() - began) / 0.8
    assert 1 <= _asked(rig) <= min(callers * seconds, callers * calls / 2)

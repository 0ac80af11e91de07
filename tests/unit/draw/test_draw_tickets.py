"""Draw tickets: who can make one, who can use it, and what its puzzle costs."""

import asyncio
import hashlib
import string
import subprocess
import sys
from types import SimpleNamespace

import pytest
from kuji.puzzle import solve

from services.common.errors import InvalidArgumentError, TicketInvalidError
from services.draw.lottery.draw_tickets import LIFE_MS, TicketClaims, TicketSeal, solved_bits
from services.draw.lottery.ticket_office import ShownTicket, TicketOffice
from services.pool.rule.terms import NO_TICKET, DrawTicket, Opening, PoolStatus, TicketPolicy
from tests.support.draws import CODE_KEY

OTHER_KEY = "0c" * 32
NOON_MS = 1_800_000_000_000
CLAIMS = TicketClaims(7, NOON_MS, NOON_MS + 1234, NOON_MS + 1234 + LIFE_MS, 12)
SEAL = TicketSeal([CODE_KEY])
BASE64URL = string.ascii_letters + string.digits + "-_"


class OneStore:
    """A store that answers when it is let; it has one pool, which is open."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def opening(self, pool_id: int) -> Opening:
        self.asked += 1
        await self.may_answer.wait()
        if self.asked == 2:
            raise TimeoutError
        return Opening(NOON_MS, PoolStatus.OPEN, NOON_MS, TicketPolicy())


class OnePool:
    """Finds the one pool."""

    async def of_activity(self, activity_id: int) -> SimpleNamespace:
        return SimpleNamespace(pool_id=activity_id)


def office() -> TicketOffice:
    """One that is only shown tickets."""
    return TicketOffice(SEAL, None, None)  # type: ignore[arg-type]


def test_ticket_is_a_request_id_that_says_what_it_said_when_issued() -> None:
    """64 characters of base64url; each is another one."""
    tickets = {SEAL.issue(42, CLAIMS) for _ in range(100)}
    assert 100 == len(tickets)
    for ticket in tickets:
        assert (64, set()) == (len(ticket), set(ticket) - set(BASE64URL))
        assert CLAIMS == SEAL.read(42, ticket)


def test_ticket_is_invalid_when_any_bit_or_its_user_is_another() -> None:
    """E: bound to its user; nobody can make one, or make more of one."""
    ticket = SEAL.issue(42, CLAIMS)
    for place, char in enumerate(ticket):
        other = BASE64URL[(BASE64URL.index(char) + 1 + place % 63) % 64]
        with pytest.raises(TicketInvalidError):
            SEAL.read(42, ticket[:place] + other + ticket[place + 1 :])
    for user_id in (41, 43, 0):
        with pytest.raises(TicketInvalidError):
            SEAL.read(user_id, ticket)


def test_ticket_has_one_spelling() -> None:
    """Another text for the same bytes would be another request id, and so a second draw."""
    ticket = next(t for t in iter(lambda: SEAL.issue(42, CLAIMS), "") if "-" in t and "_" in t)
    spellings = [
        ticket.replace("-", "+"),
        ticket.replace("_", "/"),
        ticket + "=",
        ticket + "====",
        " " + ticket,
        ticket + "\n",
        ticket[:-1] + "\n",
        ticket[:-1] + "\x7f",
        ticket[:-1] + "é",
        ticket[:-1],
        "",
        "forged",
    ]
    for spelling in spellings:
        with pytest.raises(TicketInvalidError):
            SEAL.read(42, spelling)


def test_ticket_of_the_key_before_is_good_and_one_of_a_lost_key_is_not() -> None:
    """While the key is changed, no ticket is lost: old and new processes know both."""
    turned = TicketSeal([OTHER_KEY, CODE_KEY])
    assert CLAIMS == turned.read(42, SEAL.issue(42, CLAIMS))
    assert CLAIMS == TicketSeal([CODE_KEY, OTHER_KEY]).read(42, turned.issue(42, CLAIMS))
    with pytest.raises(TicketInvalidError):
        SEAL.read(42, turned.issue(42, CLAIMS))


def test_starts_spread_evenly_and_stay_for_the_opening() -> None:
    """A user's start is its own, the same however often it asks; another opening gives another."""
    starts = [SEAL.start_ms(user, 7, NOON_MS, 999) - NOON_MS for user in range(1, 5001)]
    assert starts == [SEAL.start_ms(user, 7, NOON_MS, 999) - NOON_MS for user in range(1, 5001)]
    assert (0, 999) == (min(starts), max(starts))
    tenths = [sum(100 * n <= start < 100 * n + 100 for start in starts) for n in range(10)]
    assert all(400 < tenth < 600 for tenth in tenths)
    later = [SEAL.start_ms(user, 7, NOON_MS + 1, 999) - NOON_MS - 1 for user in range(1, 5001)]
    assert 50 > sum(one == other for one, other in zip(starts, later, strict=True))
    assert NOON_MS == SEAL.start_ms(42, 7, NOON_MS, 0)


@pytest.mark.parametrize("difficulty", [0, 1, 7, 8, 9, 13])
def test_solution_gives_the_bits_that_were_asked_for(difficulty: int) -> None:
    """The solver that clients get, the server's count, and the definition are one."""
    ticket = SEAL.issue(42, CLAIMS)
    solution = solve(ticket, difficulty)
    digest = hashlib.sha256(f"{ticket}:{solution}".encode()).digest()
    bits = len(f"{int.from_bytes(digest):b}".rjust(256, "0").split("1")[0])
    assert bits == solved_bits(ticket, solution) >= difficulty
    assert 1 <= len(solution) <= 64


def test_solver_answers_in_a_shell() -> None:
    """One line for a script."""
    command = [sys.executable, "-m", "kuji.puzzle", "a-ticket", "10"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert solved_bits("a-ticket", printed.stdout.strip()) >= 10


def test_fields_of_a_draw_are_worth_what_the_ticket_says() -> None:
    """The ticket is the request id; a puzzle that nobody asked for is not counted."""
    ticket = SEAL.issue(42, CLAIMS)
    solution = solve(ticket, 12)
    says = DrawTicket(*CLAIMS[1:], solved_bits(ticket, solution))
    assert ShownTicket(ticket, 7, says) == office().look_at(42, ticket, solution, "")
    assert ShownTicket(ticket, 7, says) == office().look_at(42, ticket, solution, ticket)
    assert 0 == _bits_of_no_solution()
    free = SEAL.issue(42, CLAIMS._replace(difficulty=0))
    shown = office().look_at(42, free, "", "")
    assert shown.draw_ticket == DrawTicket(*CLAIMS[1:4], 0, 0)
    assert ShownTicket("mine", 0, NO_TICKET) == office().look_at(42, "", "", "mine")


def _bits_of_no_solution() -> int:
    """Of a ticket for which the empty text would do."""
    ticket = next(t for t in iter(lambda: SEAL.issue(42, CLAIMS), "") if solved_bits(t, ""))
    draw_ticket = office().look_at(42, ticket, "", "").draw_ticket
    assert draw_ticket is not None
    return draw_ticket.solved_bits


@pytest.mark.parametrize(
    ("ticket", "solution", "request_id", "field"),
    [("", "1f", "", "solution"), (None, "1f", "mine", "request_id")],
)
def test_fields_that_contradict_each_other_are_named(
    ticket: str | None, solution: str, request_id: str, field: str
) -> None:
    """Nobody has to guess which of two names held."""
    given = SEAL.issue(42, CLAIMS) if ticket is None else ticket
    with pytest.raises(InvalidArgumentError) as refused:
        office().look_at(42, given, solution, request_id)
    assert {"field": field} == refused.value.metadata


async def test_crowd_that_asks_for_tickets_costs_the_store_one_question() -> None:
    """Who asks while somebody asks joins; what befalls the question befalls all; then a new one."""
    store = OneStore()
    crowded = TicketOffice(SEAL, OnePool(), store)  # type: ignore[arg-type]
    asking = [asyncio.ensure_future(crowded.issue(7, user_id)) for user_id in range(1, 401)]
    while not store.asked:  # noqa: ASYNC110  # one turn of the loop for each
        await asyncio.sleep(0)
    asking[0].cancel()
    store.may_answer.set()
    issued = await asyncio.gather(*asking[1:])
    assert (1, 399) == (store.asked, len({one.ticket for one in issued}))
    asking = [asyncio.ensure_future(crowded.issue(7, user_id)) for user_id in range(1, 401)]
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert {TimeoutError} == {type(outcome) for outcome in outcomes}
    assert 2 == store.asked
    await crowded.close()
    assert 64 == len((await crowded.issue(7, 1)).ticket)

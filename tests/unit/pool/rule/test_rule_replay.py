"""The replay of a ledger that the pure engine made."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from services.pool.rule import fairness
from services.pool.rule.replay import (
    ConfigRecord,
    DiscrepancyError,
    DrawRecord,
    EntryRecord,
    LedgerRecord,
    Replay,
)
from services.pool.rule.selection import PPB
from services.pool.rule.terms import NO_TICKET, DrawTicket, PoolStatus, TicketPolicy
from tests.support.draws import SEED, odds, tickets
from tests.support.made_ledgers import START_MS, Ledger

_DAY_MS = 86_400_000


def _replay(records: Sequence[LedgerRecord]) -> Replay:
    replay = Replay(1, SEED, fairness.commitment(SEED))
    for record in records:
        replay.feed(record)
    return replay


def _found(records: Sequence[LedgerRecord]) -> DiscrepancyError:
    with pytest.raises(DiscrepancyError) as found:
        _replay(records)
    return found.value


@pytest.fixture
def ledger() -> Ledger:
    """Draws 1–3, 4–7, a gap, 18."""
    ledger = Ledger()
    ledger.configure(odds((5, PPB // 2), (9, PPB // 4), draws_per_user=9))
    ledger.draw((1, "a", 1), (2, "a", 2))
    ledger.configure(odds((6, PPB // 3), (9, PPB // 4), draws_per_user=9))
    ledger.draw((1, "b", 3), (3, "a", 1))
    ledger.skip(10)
    ledger.configure(odds((6, PPB // 3), (9, PPB // 4)))
    ledger.draw((1, "c", 1))
    return ledger


def test_replay_reaches_the_end_of_a_true_ledger(ledger: Ledger) -> None:
    """Every record follows, gaps and changes included."""
    replay = _replay(ledger.records)
    assert (18, 3) == (replay.seq, replay.version)


def test_replay_follows_draws_with_tickets_and_without() -> None:
    """Whether a ticket was good, its MAC alone could tell; what was drawn with it, anyone can."""
    ledger = Ledger()
    asked = TicketPolicy(required=True, difficulty=8)
    ledger.configure(replace(odds((9, PPB // 2)), draw_tickets=asked))
    shown = DrawTicket(START_MS, START_MS, START_MS + 30_000, 8, 9)
    ledger.draw((1, "AQg" + 61 * "x", 1), (2, "AQg" + 61 * "y", 1), draw_ticket=shown)
    ledger.draw((3, "of a service", 1))
    ledger.configure(odds((9, PPB // 2)))
    ledger.draw((1, "named", 1), draw_ticket=NO_TICKET)
    replay = _replay(ledger.records)
    assert (4, 2) == (replay.seq, replay.version)


@pytest.mark.parametrize("is_old", [False, True])
def test_replay_follows_a_last_prize(is_old: bool) -> None:
    """The extra comes with the last ticket, and counts no further."""
    ledger = Ledger(is_old)
    ledger.configure(tickets(2, 1, last_prize=True))
    ledger.draw((1, "a", 1), (2, "a", 2))
    assert 4 == _replay(ledger.records).seq


def test_replay_follows_a_ledger_that_began_when_codes_came_from_the_roll() -> None:
    """Links of old entries cover four bytes of the roll; those of new ones no code at all."""
    ledger = Ledger(is_old=True)
    ledger.configure(odds((9, PPB // 2)))
    ledger.draw(*[(user, "a", 1) for user in range(1, 9)])
    ledger.is_old = False
    ledger.draw(*[(user, "b", 1) for user in range(1, 9)])
    assert 16 == _replay(ledger.records).seq
    old = ledger.records[1]
    assert isinstance(old, EntryRecord)
    ledger.records[1] = replace(old, drawn_ms=old.drawn_ms + 1)
    assert 1 == _found(ledger.records).seq


def test_replay_forgets_request_ids_as_the_store_does() -> None:
    """An id is free again after two days that drew; the replay knows which day a draw was."""
    ledger = Ledger()
    ledger.configure(odds((9, PPB)))
    for day in range(6):
        ledger.draw((1, "again" if day % 2 == 0 else f"{day}", 1))
        ledger.now_ms += _DAY_MS
    assert 6 == _replay(ledger.records).seq


def test_replay_lets_a_store_forget_request_ids_after_a_day() -> None:
    """That is all that is promised; stores of earlier versions forgot more of them."""
    ledger = Ledger()
    ledger.configure(odds((9, PPB)))
    for _ in range(3):
        ledger.draw((1, "again", 1))
        ledger.now_ms += _DAY_MS
        ledger.state.requests.today.clear()
    assert 3 == _replay(ledger.records).seq
    ledger.now_ms -= 1
    ledger.draw((1, "again", 1))
    assert "Draw 4: It was not allowed: its request id had drawn at 3." == str(
        _found(ledger.records)
    )


@pytest.mark.parametrize("seed", [bytes(32), SEED[:31], b""])
def test_replay_refuses_another_seed(seed: bytes) -> None:
    """A seed that was not committed to proves nothing."""
    with pytest.raises(DiscrepancyError, match=r"^The seed is not the one that was") as found:
        Replay(1, seed, fairness.commitment(SEED))
    assert 0 == found.value.seq


def test_replay_of_another_pool_finds_its_first_draw(ledger: Ledger) -> None:
    """Rolls belong to one pool: a ledger cannot be passed off as another's."""
    replay = Replay(2, SEED, fairness.commitment(SEED))
    replay.feed(ledger.records[0])
    with pytest.raises(DiscrepancyError, match="ticket is"):
        replay.feed(ledger.records[1])


def _entry(ledger: Ledger, place: int) -> EntryRecord:
    record = ledger.records[place]
    assert isinstance(record, EntryRecord)
    return record


def _config(ledger: Ledger, place: int) -> ConfigRecord:
    record = ledger.records[place]
    assert isinstance(record, ConfigRecord)
    return record


def _changed(ledger: Ledger, at: int, **change: int | str) -> list[LedgerRecord]:
    """The records, with draw *at* of the entry 4–7 changed."""
    draws = list(_entry(ledger, 3).draws)
    draws[at] = draws[at]._replace(**change)  # type: ignore[arg-type]
    return [*ledger.records[:3], replace(_entry(ledger, 3), draws=draws), *ledger.records[4:]]


_FIELDS = [name for name in DrawRecord._fields if name != "request_id"]


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("field", _FIELDS)
def test_replay_names_the_draw_whose_field_was_changed(ledger: Ledger, field: str, at: int) -> None:
    """Each number of each draw matters, in draws of n as well."""
    value = getattr(_entry(ledger, 3).draws[at], field)
    for other in (value + 1, -1, 1 << 60):
        found = _found(_changed(ledger, at, **{field: other}))
        if (field, at, other) == ("draw_count", 0, value + 1):
            continue  # it is told by the next one, whose number differs: see below
        assert 4 + at == found.seq, (other, found)


def test_replay_names_the_next_draw_when_the_first_one_claims_more(ledger: Ledger) -> None:
    """Of three draws at once, the first says four: the second contradicts it."""
    found = _found(_changed(ledger, 0, draw_count=4))
    assert "Draw 5: draw_count is 3, and follows as 4." == str(found)


def test_replay_names_the_draw_whose_request_id_was_changed(ledger: Ledger) -> None:
    """The request id decides the roll."""
    assert 7 == _found(_changed(ledger, 3, request_id="z")).seq


def test_replay_names_the_draw_whose_request_id_had_drawn(ledger: Ledger) -> None:
    """A request draws once; a copy of it is not overlooked."""
    first = _entry(ledger, 1).draws[0]
    records = _changed(ledger, 3, **first._asdict())
    assert "Draw 7: It was not allowed: its request id had drawn at 1." == str(_found(records))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_replay_survives_any_place_within_a_request(ledger: Ledger, index: int) -> None:
    """An entry whose draws all claim to be later ones of a request is refused, in words."""
    draws = [draw._replace(draw_index=index + 1) for draw in _entry(ledger, 1).draws]
    assert 1 == _found([ledger.records[0], replace(_entry(ledger, 1), draws=draws)]).seq


def _without(records: Sequence[LedgerRecord], place: int) -> Iterator[LedgerRecord]:
    return (record for at, record in enumerate(records) if at != place)


@pytest.mark.parametrize(("place", "first"), [(0, 1), (1, 1), (2, 4), (3, 4), (4, 8), (5, 18)])
def test_replay_names_the_first_draw_when_a_record_is_missing(
    ledger: Ledger, place: int, first: int
) -> None:
    """Entries, configurations and gaps are all needed."""
    assert first == _found(list(_without(ledger.records, place))).seq


def test_replay_names_the_draw_after_a_part_of_an_entry(ledger: Ledger) -> None:
    """Where an entry breaks off, the next draw is the one that is wrong."""
    entry = _entry(ledger, 3)
    part = replace(entry, draws=entry.draws[:3], link=None)
    assert 7 == _found([*ledger.records[:3], part]).seq
    nothing = replace(entry, draws=[], link=None)
    assert 4 == _found([*ledger.records[:3], nothing]).seq


def test_replay_names_the_entry_when_only_its_link_tells(ledger: Ledger) -> None:
    """A moment that changes no outcome is bound all the same."""
    moved = replace(_entry(ledger, 3), drawn_ms=START_MS + 1)
    found = _found([*ledger.records[:3], moved])
    assert "Draw 4: Its link does not follow: something up to here changed." == str(found)


def test_replay_names_why_a_draw_was_not_allowed(ledger: Ledger) -> None:
    """Status, window, quotas, cooldown and stock speak in words."""
    cases = {
        "the pool was paused": {"status": PoolStatus.PAUSED},
        "the pool was ended": {"end_ms": 1},
        "the pool was planned": {"start_ms": START_MS + 1},
        "the quota draws_per_user was spent": {"draws_per_user": 1},
        "the quota draws_per_day was spent": {"draws_per_day": 1},
    }
    for reason, change in cases.items():
        closed = Ledger()
        closed.configure(replace(_config(ledger, 0).config, **change))  # type: ignore[arg-type]
        entry = EntryRecord(1, START_MS, 1, [DrawRecord(1, "a", 0, 2, 1, 0, 0, 0, 0)] * 2, "")
        assert f"It was not allowed: {reason}." == _found([*closed.records, entry]).reason


def test_replay_names_the_configuration_that_goes_back_or_reopens(ledger: Ledger) -> None:
    """Versions only rise, and an ended pool stays ended."""
    again = replace(_config(ledger, 2), version=1)
    assert "Configuration 1: CONFLICT." == _found([*ledger.records[:2], again]).reason
    ended = Ledger()
    ended.configure(odds((1, 0), status=PoolStatus.ENDED))
    opened = replace(_config(ledger, 2), after_seq=0)
    assert "Configuration 2: ENDED." == _found([*ended.records, opened]).reason


def test_document_is_bound_to_the_letter(ledger: Ledger) -> None:
    """A name in a configuration decides no draw, and is bound by the link all the same."""
    renamed = replace(_config(ledger, 2), document='{"version":2}')
    assert 4 == _found([*ledger.records[:2], renamed]).seq

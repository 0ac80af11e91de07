"""The audit itself: facts in, findings out. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from services.pool.books.boxes import audit_box
from services.pool.books.facts import PoolFacts, PrizeRow, SeqSpan, WinnerListFacts, WinnerMismatch
from services.pool.books.findings import Finding, Kind
from services.pool.rule.terms import UNLIMITED, LiveState, Stock

_Findings = Iterator[Finding]


def audit_pool(facts: PoolFacts) -> list[Finding]:
    """What does not add up in one pool; empty: it balances."""
    checks: list[Callable[[PoolFacts], _Findings]] = [
        _halted,
        _ledger,
        _pool_counts,
        _prize_counts,
        _winners,
        _box,
    ]
    findings = [finding for check in checks for finding in check(facts)]
    if facts.live is not None:
        return [*findings, *_live(facts, facts.live)]
    if facts.row.version:
        sentence = "Redis does not hold it"
        findings.append(Finding(Kind.NOT_LOADED, facts.row.pool_id, None, 0, sentence))
    return findings


def audit_winner_list(facts: WinnerListFacts) -> list[Finding]:
    """Whether the winners are numbered 1 … the counter, none left out."""
    finding = partial(Finding, Kind.WINNER_NUMBERS, None, None)
    findings = []
    if facts.rows != facts.counter:
        detail = f"{facts.rows} winners, but {facts.counter} numbers were given"
        findings.append(finding(facts.rows - facts.counter, detail))
    if facts.last_win_no != facts.counter:
        detail = f"the newest number is {facts.last_win_no}, the counter stands at {facts.counter}"
        findings.append(finding(facts.last_win_no - facts.counter, detail))
    return findings


def _halted(facts: PoolFacts) -> _Findings:
    row = facts.row
    if row.halted_reason:
        detail = f"recording is halted: {row.halted_reason}"
        yield Finding(Kind.HALTED, row.pool_id, None, 0, detail)


def _ledger(facts: PoolFacts) -> _Findings:
    row = facts.row
    for span in facts.missing:
        detail = f"{_seqs(span)} missing in lottery_records"
        yield Finding(Kind.RECORDS_MISSING, row.pool_id, None, -span.length, detail)
    if facts.tally.beyond:
        detail = f"lottery_records has rows after the newest recorded draw {row.recorded_seq}"
        yield Finding(Kind.RECORDS_BEYOND, row.pool_id, None, facts.tally.beyond, detail)


def _seqs(span: SeqSpan) -> str:
    return f"draw {span.first} is" if span.length == 1 else f"draws {span.first}–{span.last} are"


def _pool_counts(facts: PoolFacts) -> _Findings:
    row, tally = facts.row, facts.tally
    counts = [
        ("pools.draws", row.draws, tally.records),
        ("pools.wins", row.wins, tally.wins),
        ("pools.unique_users", row.unique_users, tally.new_users),
    ]
    for name, noted, counted in counts:
        if noted != counted:
            detail = f"{name} is {noted}, but the records say {counted}"
            yield Finding(Kind.POOL_COUNT, row.pool_id, None, noted - counted, detail)


def _prize_counts(facts: PoolFacts) -> _Findings:
    for prize in facts.prizes:
        if prize.won != prize.records:
            detail = f"prizes.won_count is {prize.won}, but the records say {prize.records}"
            off_by = prize.won - prize.records
            yield Finding(Kind.WON_COUNT, facts.row.pool_id, prize.prize_id, off_by, detail)


def _winners(facts: PoolFacts) -> _Findings:
    pool_id, tally = facts.row.pool_id, facts.tally
    for mismatch in facts.mismatches:
        yield _mismatch(pool_id, mismatch)
    if tally.last_win_no != tally.winners:
        detail = f"{tally.winners} winners, but the newest is numbered {tally.last_win_no}"
        off_by = tally.winners - tally.last_win_no
        yield Finding(Kind.WINNER_NUMBERS, pool_id, None, off_by, detail)


def _mismatch(pool_id: int, mismatch: WinnerMismatch) -> Finding:
    seq, recorded, listed = mismatch
    if listed is None:
        detail = f"draw {seq} won, but is missing in winners"
        return Finding(Kind.WINNER_MISSING, pool_id, recorded, -1, detail)
    if recorded is None:
        detail = f"winners lists draw {seq}, which the records do not know as a win"
        return Finding(Kind.WINNER_UNFOUNDED, pool_id, listed, 1, detail)
    detail = f"winners and lottery_records differ on who won what with draw {seq}"
    return Finding(Kind.WINNER_DIFFERS, pool_id, recorded, 0, detail)


def _box(facts: PoolFacts) -> _Findings:
    if facts.box is not None:
        yield from audit_box(facts.row.pool_id, facts.box)


def _live(facts: PoolFacts, live: LiveState) -> _Findings:
    row = facts.row
    if live.seq < row.recorded_seq:
        detail = f"Redis is at draw {live.seq}, but {row.recorded_seq} is recorded"
        yield Finding(Kind.REDIS_BEHIND, row.pool_id, None, live.seq - row.recorded_seq, detail)
        return
    if live.seq < row.mark_seq or live.clock_us < row.mark_us:
        detail = f"Redis is older than what was answered: at draw {live.seq} of {row.mark_seq}"
        off_by = min(live.seq - row.mark_seq, 0)
        yield Finding(Kind.REDIS_BEHIND, row.pool_id, None, off_by, detail)
        return
    yield from _flight(facts)
    yield from _versions(facts, live)
    yield from _stocks(facts, live)
    users = row.unique_users + facts.flight.new_users
    if live.users != users:
        detail = f"Redis knows {live.users} users who drew, the ledger {users}"
        yield Finding(Kind.USERS, row.pool_id, None, live.users - users, detail)


def _flight(facts: PoolFacts) -> _Findings:
    pool_id = facts.row.pool_id
    for span in facts.flight.missing:
        detail = f"{_seqs(span)} neither recorded nor in the ledger stream"
        yield Finding(Kind.LEDGER_GAP, pool_id, None, -span.length, detail)
    for entry_id in facts.flight.unreadable:
        detail = f"entry {entry_id} of the ledger stream cannot be read"
        yield Finding(Kind.LEDGER_UNREADABLE, pool_id, None, 0, detail)


def _versions(facts: PoolFacts, live: LiveState) -> _Findings:
    row = facts.row
    # A newer one in Redis is on its way as long as the ledger still brings it.
    if row.version != live.version and live.version not in facts.flight.versions:
        detail = f"Redis has configuration {live.version}, Postgres {row.version}"
        yield Finding(Kind.VERSIONS_DIFFER, row.pool_id, None, 0, detail)


def _stocks(facts: PoolFacts, live: LiveState) -> _Findings:
    recorded = {prize.prize_id: prize for prize in facts.prizes}
    if facts.row.version == live.version:
        yield from _units(facts.row.pool_id, recorded, live.stocks)
    for stock in live.stocks:
        if stock.units != UNLIMITED:
            yield from _conservation(facts, recorded.get(stock.prize_id), stock)


def _units(
    pool_id: int, recorded: Mapping[int, PrizeRow], stocks: Sequence[Stock]
) -> Iterator[Finding]:
    live = {stock.prize_id: stock.units for stock in stocks}
    noted = {
        prize_id: prize.units
        for prize_id, prize in recorded.items()
        if prize_id in live or not prize.is_deleted
    }
    for prize_id in sorted(noted.keys() | live.keys()):
        here, there = live.get(prize_id), noted.get(prize_id)
        if here != there:
            detail = f"units in all: Redis has {_known(here)}, Postgres {_known(there)}"
            off_by = 0 if UNLIMITED in (here, there) else (here or 0) - (there or 0)
            yield Finding(Kind.UNITS_DIFFER, pool_id, prize_id, off_by, detail)


def _known(units: int | None) -> str:
    if units is None:
        return "no such prize"
    return "unlimited" if units == UNLIMITED else str(units)


def _conservation(facts: PoolFacts, prize: PrizeRow | None, stock: Stock) -> _Findings:
    """units = left + won + in flight, and neither side below zero."""
    pool_id, prize_id = facts.row.pool_id, stock.prize_id
    won, in_flight = prize.records if prize else 0, facts.flight.won[prize_id]
    accounted = stock.left + won + in_flight
    if accounted != stock.units:
        detail = (
            f"{stock.left} left in Redis + {won} won + {in_flight} in flight "
            f"= {accounted}, but there are {stock.units} units"
        )
        yield Finding(Kind.STOCK, pool_id, prize_id, accounted - stock.units, detail)
    if won + in_flight > stock.units:
        detail = f"{won + in_flight} won of {stock.units} units"
        yield Finding(Kind.OVERSOLD, pool_id, prize_id, won + in_flight - stock.units, detail)

"""
The table of ledgers that the engine here and the one in the browser are held to, as a file:
tests/unit/pool/rule/ledger_cases.json. `python -m tests.support.ledger_cases` writes it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgpack
from kuji.draw.v1 import pool_pb2

from ops.ledger.checker import Checker
from ops.ledger.file import LedgerFileError, read_header, read_records
from services.pool.rule.replay import DiscrepancyError
from services.pool.rule.selection import PPB
from services.pool.rule.terms import DAY_MS
from tests.support.made_ledgers import Ledger

TABLE = Path(__file__).parents[1] / "unit" / "pool" / "rule" / "ledger_cases.json"
ODDS, TICKETS, WEIGHTS = (
    pool_pb2.POOL_MODE_ODDS,
    pool_pb2.POOL_MODE_TICKETS,
    pool_pb2.POOL_MODE_WEIGHTS,
)
_ABOUT = (
    "Ledger files, and what is found in them once a part of their lines is replaced (splice: from "
    "which line, how many, by what): draws, if all follow; else the first draw that does not "
    "(seq), in what way (kind, see web/src/proof/findings.ts) and in which words of kuji verify "
    "(says); or the line that cannot be read (unfit_line)."
)
Line = dict[str, Any]
Lines = list[Line]


def found_in(lines: Sequence[str]) -> dict[str, Any]:
    """What the engine here finds."""
    try:
        header = read_header(lines[0])
        checker = Checker(header, bytes.fromhex(header.seed or ""), lambda _: None)
        for record in read_records(lines[1:]):
            checker.feed(record)
        return {"draws": checker.finish()}
    except DiscrepancyError as error:
        # Why a configuration is unfit is said in a library's words.
        what, unfit, _ = error.reason.partition(" is unfit: ")
        return {"seq": error.seq, "says": what + unfit}
    except LedgerFileError as error:
        words = str(error).split()
        return {"unfit_line": int(words[1]) if words[0] == "line" else 1}


def config_of_prizes(mode: int, *prizes: dict[str, Any], **settings: Any) -> pool_pb2.PoolConfig:
    """An open pool; its prizes are numbered from 1, where they have no number."""
    rows = [
        pool_pb2.PoolPrize(**{"prize_id": place, "enabled": True, **prize})
        for place, prize in enumerate(prizes, start=1)
    ]
    return pool_pb2.PoolConfig(mode=mode, status=pool_pb2.POOL_STATUS_OPEN, prizes=rows, **settings)  # type: ignore[arg-type]


def _odds() -> Ledger:
    """Odds that change, prizes that come and go, limits of wins, a gap, several in one step."""
    ledger = Ledger()
    mug = {"units": 2, "weight": PPB // 5, "wins_per_user": 1, "name": "Bär, 赏"}
    bag = {"units": 30, "weight": PPB // 4}
    most = pool_pb2.UserLimits(wins_per_user=3)
    ledger.publish(config_of_prizes(ODDS, mug, bag, limits=most, activity_id=3))
    ledger.draw((1, "a", 1), (2, "a", 2), (3, "a", 4))
    ledger.publish(config_of_prizes(ODDS, mug | {"units": 9}, bag | {"enabled": False}))
    ledger.draw((1, "b", 3), (1 << 40, "x" * 64, 12))
    ledger.skip(10)
    hat = {"units": 5, "weight": PPB // 2}
    ledger.publish(config_of_prizes(ODDS, mug | {"units": 9}, bag | {"retired": True}, hat))
    ledger.now_ms += 70
    ledger.draw(*[(user, "c", 1) for user in range(4, 24)])
    ledger.publish(config_of_prizes(ODDS, mug | {"units": 9}, hat | {"prize_id": 3}))
    ledger.draw((24, "d", 1))
    return ledger


def _tickets() -> Ledger:
    """A box that sells out, its last prize with it."""
    ledger = Ledger()
    last = {"prize_id": 9, "units": 1, "last_prize": True}
    ledger.publish(config_of_prizes(TICKETS, {"units": 1}, {"units": 2}, {"units": 20}, last))
    ledger.draw((1, "order:A-1", 10), (2, "order:A-2", 1))
    ledger.draw((1, "order:A-3", 11), (3, "card:77", 1))
    return ledger


def _protected() -> Ledger:
    """A box that is its buyer's alone for a minute after each draw."""
    ledger = Ledger()
    ledger.publish(config_of_prizes(TICKETS, {"units": 50}, {"units": 7}, protection_ms=60_000))
    ledger.draw((1, "order:B-1", 3))
    ledger.draw((1, "order:B-2", 1))
    ledger.now_ms += 60_000
    ledger.draw((2, "order:B-3", 2))
    return ledger


def _weights() -> Ledger:
    """Fixed weights, weights of stock, stock without end, a limit of wins."""
    ledger = Ledger()
    rows = [{"units": -1, "weight": 70}, {"units": 4}, {"units": 9, "weight": 30}]
    own = {"units": 40, "weight": 5, "wins_per_user": 1}
    ledger.publish(config_of_prizes(WEIGHTS, *rows, own))
    ledger.draw((1, "order:C-1", 40), (2, "order:C-2", 7), (3, "r", 1))
    ledger.publish(config_of_prizes(WEIGHTS, *rows[:2], rows[2] | {"retired": True}, own))
    ledger.draw((2, "order:C-3", 25))
    return ledger


def _limited() -> Ledger:
    """A window, a cooldown, quotas, days of Tokyo; a request id that draws again after a day."""
    ledger = Ledger()
    limits = pool_pb2.UserLimits(
        cooldown_ms=1_000, draws_per_user=6, draws_per_day=2, day_offset_minutes=540
    )
    window = {"start_ms": ledger.now_ms, "end_ms": ledger.now_ms + 9 * DAY_MS}
    prize = {"units": 90, "weight": PPB // 3}
    ledger.publish(config_of_prizes(ODDS, prize, limits=limits, **window))
    for day in range(3):
        ledger.draw((1, "again", 1), (2, f"{day}", 2))
        ledger.now_ms += 1_000
        ledger.draw((1, f"second-{day}", 1))
        ledger.now_ms += DAY_MS
        ledger.state.requests.today.clear()  # as a store may that knows them for a day only
    return ledger


def _old() -> Ledger:
    """From when codes came from the roll, and links covered them; then as they are today."""
    ledger = Ledger(is_old=True)
    last = {"prize_id": 9, "units": 1, "last_prize": True}
    ledger.publish(config_of_prizes(TICKETS, {"units": 2}, {"units": 3}, last))
    ledger.draw((1, "a", 2))
    ledger.is_old = False
    ledger.draw((2, "a", 2))
    ledger.is_old = True
    ledger.draw((3, "a", 1))
    return ledger


def long_ledger(draws: int, batch: int = 1) -> Ledger:
    """A lottery of so many draws by half as many users, *batch* in a step; odds change half way."""
    ledger = Ledger()
    rows = [{"units": draws // 50, "weight": PPB // 100 * n, "name": f"Prize {n}"} for n in (1, 5)]
    ledger.publish(config_of_prizes(ODDS, *rows, activity_id=3))
    for first in range(0, draws, batch):
        if first == draws // 2:
            ledger.publish(config_of_prizes(ODDS, rows[0] | {"weight": PPB // 20}, rows[1]))
        wishes = range(first, first + batch)
        ledger.draw(*[(1 + n % max(1, draws // 2), f"{n:032x}", 1) for n in wishes])
        ledger.now_ms += 2
    return ledger


LEDGERS: dict[str, Callable[[], Ledger]] = {
    "odds": _odds,
    "tickets": _tickets,
    "protected": _protected,
    "weights": _weights,
    "limited": _limited,
    "old": _old,
}


class Change(NamedTuple):
    """What is done to a ledger's lines, and which draw is to be found first, in what way."""

    name: str
    ledger: str
    change: Callable[[Lines], object]
    seq: int
    kind: str
    is_linked_again: bool = False


def _set(line: int, value: Any, *path: Any) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        place: Any = lines[line]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def _configured(line: int, old: str, new: str) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        text = lines[line]["config"]
        assert old in text, text
        lines[line]["config"] = text.replace(old, new)

    return change


def _part(line: int, at: int, part: int, value: Any) -> Callable[[Lines], object]:
    return _set(line, value, "draws", at, part)


def _without(line: int) -> Callable[[Lines], object]:
    return lambda lines: lines.pop(line)


def _without_draw(line: int, at: int) -> Callable[[Lines], object]:
    return lambda lines: lines[line]["draws"].pop(at)


def _swapped(line: int, one: int, other: int) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        draws = lines[line]["draws"]
        draws[one], draws[other] = draws[other], draws[one]

    return change


def _swapped_lines(one: int, other: int) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        lines[one], lines[other] = lines[other], lines[one]

    return change


def _copied(line: int, at: int, of_line: int, of: int) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        lines[line]["draws"][at] = list(lines[of_line]["draws"][of])

    return change


def _torn(line: int, draws: int) -> Callable[[Lines], object]:
    def change(lines: Lines) -> None:
        lines[line]["draws"] = lines[line]["draws"][:draws]
        lines[line]["link"] = None

    return change


_PARTS = range(9)
_REQUEST_ID = 1
_OPEN = '"POOL_STATUS_OPEN"'
# Of the ledger odds: 1 config, 2 draws 1–7, 3 config, 4 draws 8–22, 5 gap 23–32, 6 config,
# 7 draws 33–52, 8 config, 9 draw 53.
CHANGES = [
    *[
        Change(f"part {part} of a draw is another", "odds", _part(7, 3, part, 5), 36, "differs")
        for part in _PARTS
        if part not in (_REQUEST_ID, 0, 2, 3)
    ],
    Change("a draw is another user's", "odds", _part(7, 3, 0, 99), 36, "differs"),
    Change("a draw has another request id", "odds", _part(7, 3, 1, "z"), 36, "differs"),
    Change("a draw is a later one of its request", "odds", _part(7, 3, 2, 1), 36, "places"),
    Change("a draw is one of more", "odds", _part(7, 3, 3, 2), 36, "places"),
    Change("a draw is one of none", "odds", _part(7, 3, 3, 0), 36, "count"),
    Change("a draw is one of too many", "odds", _part(7, 3, 3, 101), 36, "count"),
    Change("the first of three claims four", "odds", _part(4, 0, 3, 4), 9, "differs"),
    Change("a draw is removed", "odds", _without_draw(7, 3), 33, "link"),
    Change("a draw is removed, and linked again", "odds",
           _without_draw(7, 3), 52, "config_place", True),
    Change("the first of two is removed", "odds", _without_draw(2, 1), 2, "places"),
    Change("the last of four is removed", "odds", _without_draw(2, 6), 4, "places"),
    Change("two draws are swapped", "odds", _swapped(7, 3, 4), 33, "link"),
    Change("two draws of one user are swapped", "odds", _swapped(4, 0, 1), 8, "differs"),
    Change("a draw is there twice", "odds", _copied(7, 3, 2, 0), 36, "refused"),
    Change("two entries are swapped", "limited", _swapped_lines(2, 3), 1, "missing"),
    Change("an entry is removed", "odds", _without(4), 8, "gap_place"),
    Change("the last entry is removed", "odds", _without(9), 53, "ends_early"),
    Change("the last configuration is removed", "odds", _without(8), 53, "version"),
    Change("a gap goes back", "odds", _set(5, 22, "last_seq"), 23, "gap_place"),
    Change("a gap is removed", "odds", _without(5), 23, "config_place"),
    Change("the first configuration is removed", "odds", _without(1), 1, "version"),
    Change("an entry names another configuration", "odds", _set(4, 1, "version"), 8, "version"),
    Change("an entry has another time", "odds", _set(4, 1_700_000_000_001, "drawn_ms"), 8, "link"),
    Change("an entry breaks off", "odds", _torn(4, 3), 11, "torn"),
    Change("an entry breaks off within a request", "odds", _torn(4, 2), 10, "places"),
    Change("an entry breaks off at once", "odds", _torn(4, 0), 8, "torn"),
    Change("a name in a configuration is another", "odds", _configured(1, "r, ", "d, "), 1, "link"),
    Change("odds are others", "odds", _configured(1, '"200000000"', '"200000001"'), 1, "link"),
    Change(
        "odds are others, and linked again", "odds",
        _configured(1, '"250000000"', '"1"'), 1, "differs", True,
    ),
    Change("units are others", "odds", _set(1, 3, "units", 0, 2), 1, "config_units"),
    Change(
        "units are fewer than were won", "odds",
        _configured(6, '"units": "9"', '"units": "1"'), 33, "config_refused", True,
    ),
    Change("a configuration goes back", "odds", _set(3, 1, "version"), 8, "config_refused"),
    Change("a configuration names what there is not", "odds",
           _configured(3, '"mode"', '"luck": 7, "mode"'), 8, "config_unfit"),
    Change("a configuration has no mode", "odds",
           _configured(3, '"POOL_MODE_ODDS"', '"POOL_MODE_UNSPECIFIED"'), 8, "config_unfit"),
    Change("chances sum to more than 1", "odds",
           _configured(3, '"200000000"', '"1000000001"'), 8, "config_unfit"),
    Change("the ledger ends later than it says", "odds", _set(0, 52, "seq"), 53, "goes_on"),
    Change("the ledger ends at another configuration", "odds",
           _set(0, 9, "version"), 54, "ends_at_version"),
    Change("the seed is another", "odds", _set(0, "00" * 32, "seed"), 0, "seed"),
    Change("it is another pool's", "odds", _set(0, 2, "pool_id"), 1, "differs"),
    Change("the pool was paused", "odds",
           _configured(1, _OPEN, '"POOL_STATUS_PAUSED"'), 1, "refused", True),
    Change("the pool had ended", "limited",
           _configured(1, '"1700777600000"', '"1700000000001"'), 4, "refused", True),
    Change("the pool was not open yet", "limited",
           _configured(1, '"1700000000000"', '"1700000000001"'), 1, "refused", True),
    Change("an ended pool opens again", "odds",
           _configured(1, _OPEN, '"POOL_STATUS_ENDED"'), 1, "refused", True),
    Change("the quota in all was spent", "limited",
           _configured(1, '"draws_per_user": 6', '"draws_per_user": 5'), 10, "refused", True),
    Change("the quota of a day was spent", "limited",
           _configured(1, '"draws_per_day": 2', '"draws_per_day": 1'), 2, "refused", True),
    Change("the cooldown was not over", "limited",
           _set(3, 1_700_000_000_999, "drawn_ms"), 4, "refused", True),
    Change("the quota of wins was spent", "weights",
           _configured(1, '"mode"', '"limits": {"wins_per_user": 39}, "mode"'), 1, "refused", True),
    Change("the box was another's", "protected",
           _set(4, 1_700_000_059_999, "drawn_ms"), 5, "refused", True),
    Change("a request id draws again too soon", "limited",
           _part(3, 0, 1, "again"), 4, "refused", True),
    Change("a request id is another's count", "tickets",
           _part(3, 0, 1, "order:A-1"), 12, "refused", True),
    Change("more is drawn than was there", "tickets",
           _configured(1, '"units": "20"', '"units": "19"'), 1, "config_units", True),
    Change("a last prize comes too soon", "tickets", _copied(2, 10, 3, 12), 11, "places"),
    Change("a last prize is left out", "tickets", _without_draw(3, 12), 23, "places"),
    Change("an old entry has another time", "old",
           _set(2, 1_700_000_000_001, "drawn_ms"), 1, "link"),
    Change("a number is a text", "odds", _set(4, "1", "version"), 4, "unfit"),
    Change("a number is too great", "odds", _part(4, 0, 6, 1.5), 4, "unfit"),
    Change("a draw has ten parts", "odds",
           lambda lines: lines[4]["draws"][0].append(""), 4, "unfit"),
    Change("a line has a name too many", "odds", _set(5, 1, "note"), 5, "unfit"),
    Change("a line is of no kind", "odds", _set(5, "hole", "kind"), 5, "unfit"),
    Change("the first line is of another format", "odds", _set(0, 2, "format"), 0, "unfit"),
    Change("the first line has a short commitment", "odds",
           _set(0, "00", "seed_commitment"), 0, "unfit"),
]  # fmt: skip


def table() -> dict[str, Any]:
    """The whole table, made anew."""
    ledgers = {name: list(make().lines()) for name, make in LEDGERS.items()}
    true = [
        {"name": f"{name}: all follow", "ledger": name, **found_in(lines)}
        for name, lines in ledgers.items()
    ]
    return {
        "about": _ABOUT,
        "ledgers": ledgers,
        "cases": [*true, *[_case(change, ledgers[change.ledger]) for change in CHANGES]],
    }


def _case(change: Change, before: list[str]) -> dict[str, Any]:
    lines: Lines = [json.loads(line) for line in before]
    change.change(lines)
    if change.is_linked_again:
        _link_again(lines)
    after = [
        json.dumps(line, separators=(",", ":")) if json.loads(old) != line else old
        for line, old in zip(lines, [*before, "{}", "{}"], strict=False)
    ]
    splice = _splice(before, after)
    found = found_in(after)
    if change.kind == "unfit":
        assert {"unfit_line": change.seq + 1} == found, (change.name, found)
        return {"name": change.name, "ledger": change.ledger, "splice": splice, **found}
    assert change.seq == found.get("seq"), (change.name, found)
    row = {"name": change.name, "ledger": change.ledger, "splice": splice, "kind": change.kind}
    return row | found


def _splice(before: list[str], after: list[str]) -> list[Any]:
    """The part that is replaced."""
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    last = 0
    most = min(len(before), len(after)) - first
    while last < most and before[-1 - last] == after[-1 - last]:
        last += 1
    return [first, len(before) - first - last, after[first : len(after) - last]]


def _link_again(lines: Lines) -> None:
    """Give each line the link that follows: whoever can change a ledger can do so too."""
    link = ""
    for line in lines[1:]:
        if line["kind"] == "gap":
            continue
        if line["kind"] == "config":
            place = f"{line['after_seq']}-{line['version']}"
            content = line["config"].encode() + msgpack.packb(line["units"])
            content += str(line["changed_ms"]).encode()
        else:
            place = f"{line['first_seq'] + len(line['draws']) - 1}-0"
            content = msgpack.packb([line["drawn_ms"], line["version"], line["draws"]])
        link = hashlib.sha1((link + place).encode() + content).hexdigest()
        line["link"] = link


def written() -> str:
    """The table as its file has it: a row a line."""
    made = table()
    parts = [f'{{\n "about": {json.dumps(made["about"])},\n "ledgers": {{']
    parts.append(",\n".join(_rows(made["ledgers"])) + "\n },")
    parts.append(' "cases": [')
    parts.append(",\n".join(f"  {json.dumps(case)}" for case in made["cases"]) + "\n ]\n}\n")
    return "\n".join(parts)


def _rows(ledgers: dict[str, list[str]]) -> Iterator[str]:
    for name, lines in ledgers.items():
        text = ",\n".join(f"   {json.dumps(line)}" for line in lines)
        yield f"  {json.dumps(name)}: [\n{text}\n  ]"


if __name__ == "__main__":
    TABLE.write_text(written(), "utf-8")

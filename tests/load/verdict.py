"""The verdict on a load test: is what was answered in Postgres, once, and do the books balance?"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from demo.system import System
from services.common.postgres import load_queries
from tests.load.answers import (
    AccountAnswer,
    Answer,
    DrawAnswer,
    OrderAnswer,
    SoldOutAnswer,
    read_answers,
)

queries = load_queries(__file__)
_SHOWN = 5
Kind = TypeVar("Kind", DrawAnswer, SoldOutAnswer, OrderAnswer, AccountAnswer)


class Finding(NamedTuple):
    """Something that must not be, and examples of it."""

    what: str
    times: int
    examples: str


@dataclass(frozen=True)
class Verdict:
    """
    What a load test showed of Kuji's promises.

    Args:
        answered: How many answers were compared, by kind.
        unheard: Rows in Postgres whose answer nobody got: the draw was made, and its caller gone.
        findings: What is wrong; none: all is well.
    """

    answered: Counter[str]
    unheard: int
    findings: Sequence[Finding]

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong, and there was something to judge."""
        return not self.findings and self.answered.total() > 0


class Rows(NamedTuple):
    """What Postgres has of the same, of the pools of the test."""

    draws: Sequence[DrawAnswer] = ()
    items: Sequence[OrderAnswer] = ()
    accounts: Sequence[AccountAnswer] = ()


async def judge(system: System, pool_ids: Sequence[int], folder: Path) -> Verdict:
    """Compare what users wrote down in *folder* with Postgres, and look at the pools' books."""
    for pool_id in pool_ids:
        await system.wait_until_recorded(pool_id)
    answers = list(read_answers(folder))
    return compared(answers, await _rows(system, pool_ids, answers), await _books(system, pool_ids))


def compared(answers: Sequence[Answer], rows: Rows, books: Sequence[Finding] = ()) -> Verdict:
    """The verdict on *answers*, with what the *books* show besides."""
    draws = _of(answers, DrawAnswer)
    sold_out = _of(answers, SoldOutAnswer)
    items = _of(answers, OrderAnswer)
    accounts = _of(answers, AccountAnswer)
    findings = [
        *_missing("draws answered, and not as Postgres has them", draws, rows.draws),
        *_missing("items answered, and not as Postgres has them", items, rows.items),
        *_missing("accounts answered, and not as Postgres has them", accounts, rows.accounts),
        *_found("requests told that nothing is left, and drew", _drawn_of(sold_out, rows.draws)),
        *_doubled("requests that drew more than once", draws, _request),
        *_doubled("draw ids that were given to more than one request", draws, _draw_id),
        *_doubled("prize codes that were given twice", [*draws, *items], _code),
        *books,
    ]
    counted = Counter(
        {
            "draws": len(draws),
            "sold out": len(sold_out),
            "items": len(items),
            "accounts": len(accounts),
        }
    )
    unheard = {*rows.draws, *rows.items} - {*draws, *items}
    return Verdict(+counted, len(unheard), findings)


def _of(answers: Iterable[Answer], kind: type[Kind]) -> list[Kind]:
    """Those of *kind*; the same answer again, a replay, is one."""
    return list(dict.fromkeys(answer for answer in answers if isinstance(answer, kind)))


async def _rows(system: System, pool_ids: Sequence[int], answers: Iterable[Answer]) -> Rows:
    user_ids = [account.user_id for account in _of(answers, AccountAnswer)]
    postgres, ids = system.stores.postgres, list(pool_ids)
    return Rows(
        [DrawAnswer(**row) async for row in queries.list_draws(postgres, pool_ids=ids)],
        [OrderAnswer(**row) async for row in queries.list_items(postgres, pool_ids=ids)],
        [AccountAnswer(**row) async for row in queries.list_accounts(postgres, user_ids=user_ids)],
    )


def _missing(what: str, answered: Sequence[Kind], there: Sequence[Kind]) -> list[Finding]:
    return _found(what, sorted(set(answered) - set(there)))


def _drawn_of(told: Sequence[SoldOutAnswer], draws: Iterable[DrawAnswer]) -> list[DrawAnswer]:
    """Those of *draws* whose request is one of *told*."""
    requests = set(told)
    return [draw for draw in draws if SoldOutAnswer(draw.user_id, draw.request_id) in requests]


def _request(answer: DrawAnswer | OrderAnswer) -> object:
    return (answer.user_id, answer.request_id) if isinstance(answer, DrawAnswer) else None


def _draw_id(answer: DrawAnswer | OrderAnswer) -> object:
    return answer.draw_id if isinstance(answer, DrawAnswer) else None


def _code(answer: DrawAnswer | OrderAnswer) -> object:
    return answer.prize_code or None


def _doubled(
    what: str,
    answers: Iterable[DrawAnswer | OrderAnswer],
    key: Callable[[DrawAnswer | OrderAnswer], object],
) -> list[Finding]:
    keys = Counter(map(key, answers))
    return _found(what, [str(one) for one, count in keys.items() if one and count > 1])


async def _books(system: System, pool_ids: Sequence[int]) -> list[Finding]:
    found = [
        str(finding) for pool_id in pool_ids for finding in (await system.books(pool_id)).findings
    ]
    return _found("findings of the books", found)


def _found(what: str, those: Sequence[object]) -> list[Finding]:
    examples = ", ".join(map(str, those[:_SHOWN]))
    return [Finding(what, len(those), examples)] if those else []

"""What a load test needs before it begins: players and their tokens, and something to draw from."""

import asyncio
import datetime as dt
import os
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from demo.activities import Prize, open_activity
from demo.goods import INFINITE, put_on_sale
from demo.system import System
from ops.errors import OperatorError
from stack.processes import ROOT
from tests.load.plan import Plan
from tests.load.scenarios import PLENTY, Needs, Scenario
from tests.load.users.tokens import user_of

_PASSWORD = "a load test's password"  # of accounts on this machine
_PREFIX = "load_"
_PRIZES = ((5, 0.00001), (PLENTY, 0.05), (PLENTY, 0.10), (PLENTY, 0.15))
_FEW = ((5, 0.5), (5, 0.5))
_CARDS = 2000
_CARDS_AT_ONCE = 100
_OPENS_IN_S = 8.0


@dataclass(frozen=True)
class Prepared:
    """
    What was made ready.

    Args:
        plan: What the users are told.
        pool_ids: Whose books are looked at afterwards.
    """

    plan: Plan
    pool_ids: Sequence[int]


async def prepare(
    system: System, scenario: Scenario, players: int, folder: Path, home: Path
) -> Prepared:
    """
    Make ready what *scenario* needs, for *players*; files go to *folder*; *home* is the stack's.

    Raises:
        OperatorError: Accounts or tokens could not be made.
    """
    tokens = await make_players(home, players, folder)
    plan = Plan(
        edge=system.endpoints.edge,
        draw=system.endpoints.grpc["draw"],
        folder=str(folder),
        tokens=str(tokens),
        admin_token=await system.log_in(),
        password=_PASSWORD,
        prefix=_PREFIX,
        players=players,
    )
    match scenario.needs:
        case Needs.INFINITE_GOODS | Needs.CARDS:
            return await _with_goods(system, plan, scenario.needs is Needs.CARDS)
        case Needs.OPENING:
            return await _with_activity(system, plan, _PRIZES, time.time() + _OPENS_IN_S)
        case Needs.FEW_UNITS:
            return await _with_activity(system, plan, _FEW)
    return await _with_activity(system, plan, _PRIZES)


async def make_players(home: Path, players: int, folder: Path) -> Path:
    """
    Accounts of so many, on the stack in *home*; the file in *folder* that has a token of each.

    Raises:
        OperatorError: They could not be made.
    """
    tokens, count = folder / "tokens", ("--count", players, "--prefix", _PREFIX)
    await _kuji(home, "users", "create", *count, "--password", _PASSWORD)
    await _kuji(home, "users", "tokens", "--as-logins", *count, "--out", tokens)
    return tokens


async def _with_activity(
    system: System, plan: Plan, offers: Sequence[tuple[int, float]], opens_at: float = 0.0
) -> Prepared:
    settings: dict[str, object] = {"name": f"load-{secrets.token_hex(3)}"}
    if opens_at:
        moment = dt.datetime.fromtimestamp(opens_at, dt.UTC)
        settings["start_time"] = moment.isoformat().replace("+00:00", "Z")
    prizes = [Prize(f"Prize {number}", *offer) for number, offer in enumerate(offers, start=1)]
    opened = await open_activity(system.edge, plan.admin_token, prizes, settings)
    made = replace(plan, activity_id=opened.activity_id, opens_at=opens_at)
    return Prepared(made, [opened.pool_id])


async def _with_goods(system: System, plan: Plan, with_cards: bool) -> Prepared:
    on_sale = await put_on_sale(system, plan.admin_token, INFINITE)
    made = replace(plan, goods_id=on_sale.goods_id)
    if with_cards:
        made = replace(made, cards=str(await _give_cards(system, made)))
    return Prepared(made, [on_sale.pool_id])


async def _give_cards(system: System, plan: Plan) -> Path:
    tokens = await asyncio.to_thread(Path(plan.tokens).read_text, "utf-8")
    owners = [user_of(token) for token in tokens.split()[: _CARDS // _CARDS_AT_ONCE]]
    lines: list[str] = []
    for number, user_id in enumerate(owners):
        body = {"user_id": user_id, "goods_id": plan.goods_id, "count": _CARDS_AT_ONCE}
        given = await system.edge.call("POST", "/admin/api/item-cards", plan.admin_token, body)
        lines += [f"{number},{card_id}" for card_id in given["item_card_ids"]]
    file = Path(plan.folder) / "cards"
    await asyncio.to_thread(file.write_text, "\n".join(lines), "utf-8")
    return file


async def _kuji(home: Path, *arguments: object) -> None:
    kuji = Path(sys.executable).with_name("kuji")
    process = await asyncio.create_subprocess_exec(
        kuji,
        *map(str, arguments),
        cwd=ROOT,
        env={**os.environ, "KUJI_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    if process.returncode != 0:
        raise OperatorError(told.decode(errors="replace").strip())

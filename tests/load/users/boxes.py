"""Users of blind boxes: a shop that orders, and players who open item cards."""

import itertools
from functools import cache
from pathlib import Path

from locust import task
from locust.exception import StopUser

from tests.load.answers import OrderAnswer
from tests.load.users.player import JsonUser, Turns, book, fresh_id, next_player, plan, player_of

_CARD = 3
_INFINITE = 2
_GONE = ("SOLD_OUT",)
_cards = Turns()


@cache
def _given() -> list[str]:
    return Path(plan().cards).read_text("utf-8").splitlines()


class Shop(JsonUser):
    """Orders for its buyers, from infinite goods."""

    _amounts = itertools.cycle([1, 1, 1, 2, 3, 5, 10])

    @task
    def orders(self) -> None:
        """One to ten items at once."""
        buyer = next_player(self.environment)
        body: dict[str, object] = {
            "order_num": fresh_id(),
            "user_id": buyer.user_id,
            "goods_id": plan().goods_id,
            "num": 1,
            "count": next(self._amounts),
            "order_type": _INFINITE,
        }
        data = self.ask("POST", "/api/blindbox/orders", token=plan().admin_token, body=body)
        for row in data["results"] if data else ():
            book().note(OrderAnswer(int(data["order_id"]), row["goods_item_id"], row["prize_code"]))


class CardOwner(JsonUser):
    """Opens item cards, each once, until there are no more."""

    @task
    def opens_a_card(self) -> None:
        """The next that nobody has opened."""
        turn = _cards.next(self.environment)
        if turn >= len(_given()):
            raise StopUser
        number, card_id = map(int, _given()[turn].split(","))
        body: dict[str, object] = {
            "goods_id": plan().goods_id,
            "item_card_id": card_id,
            "request_id": fresh_id(),
        }
        token = player_of(number).token
        row = self.ask("POST", "/api/blindbox/item_card_draw", token=token, body=body)
        if row is not None:
            answer = OrderAnswer(int(row["order_id"]), row["goods_item_id"], row["prize_code"])
            book().note(answer)

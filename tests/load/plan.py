"""What the users of a load test are told: where to go, who they are, what there is to draw from."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_VARIABLE = "KUJI_LOAD_PLAN"


@dataclass(frozen=True)
class Plan:
    """
    A load test.

    Args:
        edge: URL of the JSON face.
        draw: host:port of the draw service.
        folder: Where users write what they were answered, and processes how busy they were.
        tokens: File of the players' access tokens, one a line.
        admin_token: An administrator's, for who plays a shop.
        password: Of all players.
        prefix: What their names begin with; they are numbered from 1.
        players: How many there are.
        activity_id: To draw from; 0: the scenario has none.
        opens_at: When it opens, Unix seconds; 0: it is open.
        goods_id: To order or to draw with cards from; 0: none.
        cards: File of item cards, "place of the player's token from 0, card id" a line.
    """

    edge: str
    draw: str
    folder: str
    tokens: str
    admin_token: str
    password: str
    prefix: str
    players: int
    activity_id: int = 0
    opens_at: float = 0.0
    goods_id: int = 0
    cards: str = ""

    def _file(self) -> Path:
        return Path(self.folder) / "plan.json"

    def remove_secrets(self) -> None:
        """Leave no token behind: reports are shown around."""
        for file in (self._file(), Path(self.tokens)):
            file.unlink(missing_ok=True)

    def handed_to_users(self) -> Mapping[str, str]:
        """The environment in which read_plan() gives this plan."""
        file = self._file()
        file.touch(mode=0o600)  # an administrator's token is in it
        file.write_text(json.dumps(asdict(self)), "utf-8")
        return {**os.environ, _VARIABLE: str(file)}


def read_plan() -> Plan:
    """The plan of the test that this process is of."""
    return Plan(**json.loads(Path(os.environ[_VARIABLE]).read_text("utf-8")))

"""
A stranger's verifier: written from docs/proof.md alone, with the standard library alone.

Usage: proof_verifier.py LEDGER [SEED]. Exit code 0: it all follows; 1: it does not, and why.
"""

import gzip
import hashlib
import hmac
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

Fields = dict[str, Any]


def pack(value: Any) -> bytes:
    """MessagePack, in its shortest form."""
    if isinstance(value, list):
        return _head(len(value), 16, 0x90, [(0xDC, 2), (0xDD, 4)]) + b"".join(map(pack, value))
    if isinstance(value, (str, bytes)):
        text = value.encode() if isinstance(value, str) else value
        return _head(len(text), 32, 0xA0, [(0xD9, 1)]) + text
    if value == -1:
        return b"\xff"
    return _head(value, 128, 0, [(0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)])


def _head(number: int, fixed: int, base: int, longer: list[tuple[int, int]]) -> bytes:
    if number < fixed:
        return bytes([base + number])
    kind, size = next((kind, size) for kind, size in longer if number < 256**size)
    return bytes([kind]) + number.to_bytes(size, "big")


def ticket_of(roll: bytes, total: int) -> int:
    """A number in [0, total)."""
    limit, usable = 2**48 - 2**48 % total, 24
    while True:
        for at in range(0, usable, 6):
            number = int.from_bytes(roll[at : at + 6], "big")
            if number < limit:
                return number % total
        roll, usable = hashlib.sha1(roll).digest(), 18


class Pool:
    """A pool as it is between two lines of its ledger."""

    def __init__(self, pool_id: int, seed: bytes) -> None:
        self.pool_id, self.seed = pool_id, seed
        self.seq, self.version, self.link = 0, 0, ""
        self.config: Fields = {}
        self.units: dict[int, int] = {}
        self.left: dict[int, int] = {}
        self.draws: Counter[int] = Counter()
        self.wins: Counter[int] = Counter()
        self.wins_of: Counter[tuple[int, int]] = Counter()

    def read(self, line: Fields) -> None:
        """The next line."""
        match line["kind"]:
            case "config":
                self._configure(line)
            case "gap":
                expect("gap", line["first_seq"], self.seq + 1)
                self.seq = line["last_seq"]
            case "entry":
                self._draw(line)

    def _configure(self, line: Fields) -> None:
        expect("config's place", line["after_seq"], self.seq)
        expect("rising version", line["version"] > self.version, True)
        kept = {p["prize_id"] for p in self.config.get("prizes", ()) if not p.get("retired")}
        self.version, self.config = line["version"], json.loads(line["config"])
        prizes = self.config.setdefault("prizes", [])
        expect("prizes kept", kept <= {prize["prize_id"] for prize in prizes}, True)
        after = [self._changed(prize) for prize in prizes]
        expect(f"units of configuration {self.version}", line["units"], after)
        self.units = {prize: units for prize, units, _ in after}
        self.left = {prize: left for prize, _, left in after}
        content = line["config"].encode() + pack(line["units"]) + str(line["changed_ms"]).encode()
        self._follow(f"{line['after_seq']}-{self.version}", [content], line["link"])

    def _changed(self, prize: Fields) -> list[int]:
        prize_id, units = int(prize["prize_id"]), int(prize.get("units", 0))
        before, left = self.units.get(prize_id, 0), self.left.get(prize_id, 0)
        if prize.get("retired"):
            return [prize_id, -1, -1] if before == -1 else [prize_id, before - left, 0]
        return [prize_id, -1, -1] if units == -1 else [prize_id, units, left + units - before]

    def _draw(self, line: Fields) -> None:
        expect("first draw", line["first_seq"], self.seq + 1)
        expect("configuration", line["version"], self.version)
        old, roll = [], b""
        for draw in line["draws"]:
            user, request_id, index, count = draw[:4]
            if index < count:
                text = f"{self.pool_id}|{user}|{request_id}|{index}"
                roll = hmac.new(self.seed, text.encode(), "sha256").digest()
                expected, code = self._outcome(user, roll), roll[-4:]
                self.draws[user] += 1
            else:
                expected, code = self._last_prize(), roll[-8:-4]
            expect(f"draw {self.seq + 1}", draw[4:], [self.draws[user], *expected])
            self._take(user, draw[5])
            self.seq += 1
            old.append([*draw, code if draw[5] else ""])
        stamp = [line["drawn_ms"], line["version"]]
        contents = [pack([*stamp, draws]) for draws in (line["draws"], old)]
        self._follow(f"{self.seq}-0", contents, line["link"])

    def _weights(self, user: int | None) -> list[tuple[int, int]]:
        is_odds = self.config["mode"] == "POOL_MODE_ODDS"
        most = self.config.get("limits", {}).get("wins_per_user", 0)
        has_won_all = user is not None and is_odds and 0 < most <= self.wins[user]
        weights = []
        for prize in self.config["prizes"]:
            if prize.get("retired"):
                continue
            prize_id, limit = int(prize["prize_id"]), prize.get("wins_per_user", 0)
            left, weight = self.left[prize_id], int(prize.get("weight", 0))
            if self.config["mode"] == "POOL_MODE_TICKETS" or (not is_odds and weight == 0):
                weight = max(left, 0)
            off = not prize.get("enabled") or prize.get("last_prize") or left == 0 or has_won_all
            off = off or (user is not None and 0 < limit <= self.wins_of[user, prize_id])
            weights.append((prize_id, 0 if off else weight))
        return weights

    def _outcome(self, user: int, roll: bytes) -> list[int]:
        weights = self._weights(user)
        sum_of_all = sum(weight for _, weight in weights)
        total = 10**9 if self.config["mode"] == "POOL_MODE_ODDS" else sum_of_all
        rest = ticket = ticket_of(roll, total)
        for prize_id, weight in weights:
            rest -= weight
            if rest < 0:
                return [prize_id, ticket, weight, total]
        return [0, ticket, total - sum_of_all, total]

    def _last_prize(self) -> list[int]:
        expect("weights left", sum(weight for _, weight in self._weights(None)), 0)
        prizes = [p for p in self.config["prizes"] if p.get("last_prize") and p.get("enabled")]
        return [int(prizes[0]["prize_id"]), 0, 1, 1]

    def _take(self, user: int, prize_id: int) -> None:
        if not prize_id:
            return
        self.wins[user] += 1
        self.wins_of[user, prize_id] += 1
        if self.left[prize_id] != -1:
            self.left[prize_id] -= 1
            expect(f"units of prize {prize_id}", self.left[prize_id] >= 0, True)

    def _follow(self, place: str, contents: list[bytes], link: str) -> None:
        before = f"{self.link}{place}".encode()
        links = [hashlib.sha1(before + content).hexdigest() for content in contents]
        expect(f"link of {place} among those that follow", link in links, True)
        self.link = link


def expect(what: str, found: object, expected: object) -> None:
    """End here where the two differ."""
    if found != expected:
        sys.exit(f"{what}: {found} is there, {expected} follows")


def main(name: str, seed: str = "") -> None:
    """Check the file."""
    content = Path(name).read_bytes()
    text = gzip.decompress(content) if name.endswith(".gz") else content
    head, *lines = map(json.loads, text.splitlines())
    revealed = bytes.fromhex(seed or head["seed"])
    expect("commitment", hashlib.sha256(revealed).hexdigest(), head["seed_commitment"])
    pool = Pool(head["pool_id"], revealed)
    for line in lines:
        pool.read(line)
    expect("end of the ledger", [pool.seq, pool.version], [head["seq"], head["version"]])


if __name__ == "__main__":
    main(*sys.argv[1:])

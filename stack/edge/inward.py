"""
Which of a request's headers go inward: all others are taken off, by Envoy itself.

A script that goes through them is a tenth of what a draw costs Envoy, so ours looks at what stays.
"""

import re
from collections.abc import Iterable
from typing import Any

# Of their values, what comes from strangers is looked at by envoy/lua/inward.lua.
KNOWN = (
    *("accept-encoding", "content-length", "content-type", "transfer-encoding", "x-request-id"),
    *("authorization", "if-match", "last-event-id", "user-agent"),
)


def take_off_others() -> list[dict[str, Any]]:
    """The mutation of a request that leaves KNOWN, and what HTTP itself says (":path", …)."""
    regex = {"regex": others(KNOWN)}
    return [{"remove_on_match": {"key_matcher": {"safe_regex": regex}}}]


def others(names: Iterable[str]) -> str:
    """A regular expression of every text but *names*, and those that begin with ":"; as of RE2."""
    return _others(set(names), first=True)


def _others(rests: set[str], *, first: bool = False) -> str:
    """Every text but *rests*."""
    letters = sorted({rest[0] for rest in rests if rest})
    known = "".join(map(re.escape, letters)) + (":" if first else "")
    ways = [f"[^{known}].*" if known else ".+"]
    if "" not in rests and not first:
        ways.append("")
    for letter in letters:
        beneath = {rest[1:] for rest in rests if rest[:1] == letter}
        ways.append(re.escape(letter) + _others(beneath))
    return f"(?:{'|'.join(ways)})"

"""Whether a text shows what it holds: nothing invisible alone, nothing that turns its direction."""

import unicodedata

_JOINERS = "\u200c\u200d"  # Persian, Indic scripts and emoji need them
# Letters and symbols by their category, blanks to the eye.
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN = ("C", "Z", "M")
_REFUSED = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def is_seen(char: str) -> bool:
    """Whether *char* alone leaves a mark on the screen."""
    return unicodedata.category(char)[0] not in _UNSEEN and char not in _BLANKS


def hides(text: str) -> bool:
    """
    Whether *text* holds control characters: of terminals, of direction, or invisible ones.

    A joiner is none between two characters that it joins.
    """
    return any(
        unicodedata.category(char) in _REFUSED and not _joins(text, at)
        for at, char in enumerate(text)
    )


def _joins(text: str, at: int) -> bool:
    if text[at] not in _JOINERS or not 0 < at < len(text) - 1:
        return False
    before, after = text[at - 1], text[at + 1]
    return unicodedata.category(before)[0] in "LMS" and unicodedata.category(after)[0] in "LMS"

"""How names are shown to others: the same way everywhere."""


def mask(name: str) -> str:
    """
    *name* with its middle hidden; the length is hidden too.

    "alice" → "a***e"; names of one or two characters keep only the first.
    """
    if len(name) <= 2:
        return f"{name[:1]}***"
    return f"{name[0]}***{name[-1]}"

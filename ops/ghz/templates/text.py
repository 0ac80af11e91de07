"""How values read in a template's output."""

from datetime import datetime

from ops.ghz.notation import float_text


def value_text(value: object) -> str:
    """As Go prints it with %v."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(_inner_text(each) for each in value)}]"
    if isinstance(value, dict):
        pairs = (f"{key}:{_inner_text(value[key])}" for key in sorted(value))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, datetime):
        offset = value.strftime("%z") or "+0000"
        return f"{value:%Y-%m-%d %H:%M:%S.%f} {offset} {value.tzname() or 'UTC'}"
    return str(value)


def _inner_text(value: object) -> str:
    return "<nil>" if value is None else value_text(value)

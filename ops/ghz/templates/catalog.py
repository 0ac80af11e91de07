"""All functions that call data may use; docs/ghz.md lists them."""

from collections.abc import Mapping

from ops.ghz.templates.chance import CHANCE
from ops.ghz.templates.dates import DATES
from ops.ghz.templates.functions import Function
from ops.ghz.templates.numbers import NUMBERS
from ops.ghz.templates.plain_values import VALUES
from ops.ghz.templates.standard import STANDARD
from ops.ghz.templates.strings import LISTS, STRINGS

FUNCTIONS: Mapping[str, Function] = {
    **STANDARD,
    **CHANCE,
    **STRINGS,
    **LISTS,
    **NUMBERS,
    **VALUES,
    **DATES,
}

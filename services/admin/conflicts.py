"""Two versions side by side, for the second of two editors."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from services.admin.etags import EtagMismatchError
from services.common.context import RequestContext
from services.common.errors import ConflictError

# What a trailer has room for: two versions with three long texts each, whatever they consist of.
_LONGEST = 80
_SENTENCE = "Somebody else changed this meanwhile. Compare the two versions, then repeat."


class OutdatedError(ConflictError):
    """An edit was made for another version than there is; metadata has both."""


def asked_etag(request: Any, ctx: RequestContext) -> str:  # noqa: ANN401  # any with an etag
    """The version that an edit was made for; empty: whatever there is."""
    return request.etag or ctx.if_match


@contextmanager
def told_apart(
    request: Message, ctx: RequestContext, message_of: Callable[[Any], Message]
) -> Iterator[None]:
    """
    Tell the second of two editors what there is, and what *request* would have changed.

    Raises:
        OutdatedError: metadata: etag and current are the version that there is, your_etag and
            yours what was asked for; both versions as JSON, long texts cut.
    """
    try:
        yield
    except EtagMismatchError as error:
        current = message_of(error.current)
        raise OutdatedError(
            _SENTENCE,
            etag=error.current.etag,
            your_etag=asked_etag(request, ctx),
            current=_brief(current, defaults=True),
            yours=_brief(request, defaults=False),
        ) from error


def _brief(message: Message, defaults: bool) -> str:
    fields = MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=defaults,
    )
    fields |= dict.fromkeys(fields.pop("cleared_fields", []))
    fields.pop("etag", None)
    return json.dumps({name: _cut(value) for name, value in fields.items()}, ensure_ascii=False)


def _cut(value: Any) -> Any:  # noqa: ANN401  # whatever JSON has
    if isinstance(value, str) and len(value) > _LONGEST:
        return value[: _LONGEST - 1] + "…"
    return value

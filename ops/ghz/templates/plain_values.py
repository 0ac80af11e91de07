"""sprig's functions on any value: defaults, choices, encodings, hashes."""

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Callable
from typing import Any

from ops.ghz.notation import json_text, sorted_json
from ops.ghz.templates.functions import Catalog, text

VALUES = Catalog()

VALUES.add("default", 1, 2)(lambda other, value=None: value or other)
VALUES.add("empty", 1)(lambda value: not value)
VALUES.add("coalesce", 0, None)(lambda *values: next((each for each in values if each), None))
VALUES.add("all", 0, None)(lambda *values: all(values))
VALUES.add("any", 0, None)(lambda *values: any(values))


@VALUES.add("ternary", 3)
def _ternary(if_true: Any, if_false: Any, which: Any) -> Any:
    if not isinstance(which, bool):
        raise ValueError("wrong type for value; expected bool")
    return if_true if which else if_false


@VALUES.add("fail", 1, is_pure=False)
def _fail(message: Any) -> str:
    raise ValueError(text(message))


VALUES.add("toJson", 1)(lambda value: json_text(sorted_json(value)))
VALUES.add("toRawJson", 1)(lambda value: json_text(sorted_json(value), escape_html=False))
VALUES.add("toPrettyJson", 1)(lambda value: json.dumps(sorted_json(value), indent=2))


@VALUES.add("fromJson", 1, is_pure=False)
def _from_json(value: Any) -> Any:
    try:
        return json.loads(text(value), parse_int=float)
    except ValueError:
        return None


VALUES.add("b64enc", 1)(lambda value: base64.b64encode(text(value).encode()).decode())
VALUES.add("b32enc", 1)(lambda value: base64.b32encode(text(value).encode()).decode())


def _decoding(decode: Callable[[str], bytes]) -> Callable[[Any], str]:
    def decoded(value: Any) -> str:
        try:
            return decode(text(value)).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(str(error)) from None

    return decoded


VALUES.add("b64dec", 1)(_decoding(lambda value: base64.b64decode(value, validate=True)))
VALUES.add("b32dec", 1)(_decoding(base64.b32decode))
VALUES.add("sha1sum", 1)(lambda value: hashlib.sha1(text(value).encode()).hexdigest())  # noqa: S324
VALUES.add("sha256sum", 1)(lambda value: hashlib.sha256(text(value).encode()).hexdigest())
VALUES.add("sha512sum", 1)(lambda value: hashlib.sha512(text(value).encode()).hexdigest())
VALUES.add("adler32sum", 1)(lambda value: str(zlib.adler32(text(value).encode())))

"""Function names → the subject that they work on."""

import re
from collections.abc import Sequence

OTHER = "other"
_WAITING = re.compile(r"\((threading\.py|concurrent/futures/thread\.py:8[0-2])\b")

# Of a Python frame, "Class.function (file:line)": the first that matches, from the innermost frame.
_FRAMES = [
    (subject, re.compile(pattern))
    for subject, pattern in (
        ("metrics", r"prometheus_client/|services/common/(metrics|event_loop)"),
        ("parsing", r"_parse_one|google/protobuf|services/common/(bounds|server/bounds)"),
        ("token", r"services/common/(server/)?(\w*token\w*|verif\w+|grants)\.py|/jwt/|\(jwt/"),
        ("admission", r"services/common/(server/(gate|access|load|deadline)\w*|origin)\.py"),
        ("marks", r"services/pool/marks/"),
        ("script's client", r"\(redis/|hiredis|services/pool/store/|services/common/connections"),
        ("script's client", r"\(msgpack/"),
        ("Postgres's client", r"\(asyncpg/|aiosql"),
        ("batching", r"services/draw/batcher\.py"),
        ("roll", r"services/pool/rule/"),
        ("draw and answer", r"services/draw/(lottery|\w+\.py)|services/pool/won_prize"),
        ("recording", r"services/recorder/|services/pool/ledger/"),
        ("history", r"services/history/"),
        ("loop, transport", r"grpc/aio|\(uvloop/|services/common/server/|asyncio/runners\.py"),
    )
]

# Of machine code, "object file symbol".
_SYMBOLS = [
    (subject, re.compile(pattern))
    for subject, pattern in (
        ("fsync", r"^\[kernel\S* \S*(fsync|ext4|jbd2|blk_|bio_|virtblk|writeback|folio|filemap)"),
        ("network", r"^\[kernel\S* \S*(tcp|skb|sock|inet|ip_|net_|epoll|loopback|copy_(to|from)_)"),
        ("kernel, other", r"^\[kernel"),
        ("Lua of the edge", r"^\[JIT\]| lj_|luajit"),
        ("cryptography", r"libcrypto|libssl"),
        ("C library", r"^(libc\.|libm\.|ld-linux|libstdc\+\+|libgcc|\[vdso\])"),
    )
]


def subject_of(stack: Sequence[str]) -> str | None:
    """
    What a thread was at whose Python frames are *stack*, the outermost first.

    None: it waited; the sampler takes some threads for busy that are not.
    """
    if not stack or _WAITING.search(stack[-1]):
        return None
    for frame in reversed(stack):
        for subject, pattern in _FRAMES:
            if pattern.search(frame):
                return subject
    return OTHER


def subject_of_symbol(part: str, place: str) -> str:
    """What *part*, which is no Python, was at in *place*, "object file symbol"."""
    found = (subject for subject, pattern in _SYMBOLS if pattern.search(place))
    return next(found, f"{part} itself")

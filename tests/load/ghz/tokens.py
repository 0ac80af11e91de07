"""
Metadata for load tests that draw: each call with the next of many users' tokens.

`python -m tests.load.ghz.tokens TOKENS OUT`: TOKENS is what `kuji users tokens` wrote, one a line;
OUT is for `--metadata-file`, of ghz and of kuji ghz.
"""

import json
import os
import sys
from pathlib import Path


def metadata_of(tokens: list[str]) -> str:
    """A template that takes the tokens in turn."""
    listed = " ".join(json.dumps(f"Bearer {token}") for token in tokens)
    place = f"(mod .RequestNumber {len(tokens)} | int)"
    return f'{{"authorization": {{{{ index (list {listed}) {place} | quote }}}}}}\n'


def write_metadata(tokens: Path, out: Path) -> None:
    """For its owner alone: who has it is all these users."""
    text = metadata_of(tokens.read_text().split())
    with os.fdopen(os.open(out, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


if __name__ == "__main__":
    write_metadata(Path(sys.argv[1]), Path(sys.argv[2]))

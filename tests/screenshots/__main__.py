"""
Pictures of every page, into docs/screenshots: on a stack of its own, in Debian's Chromium.

Usage: python -m tests.screenshots [NAME …]; with names, only the pages whose names hold one. Which
pages there are, screenshots.json in web/tests says. Each is taken on a phone and on a desk, in
light and dark.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.client import open_edge
from demo.own_stack import OwnStack, own_stack
from ops.connections import Endpoints
from ops.terminal import complain, out, progress
from stack.processes import ROOT
from tests.screenshots.scene import Scene, set_scene
from tests.support.browser import WEB, missing_tools

FOLDER = ROOT / "docs" / "screenshots"
MOST_BYTES = 5_000_000
_PAGES = WEB / "tests" / "screenshots.json"
_VARIANTS = 4


def main(words: Sequence[str]) -> int:
    """0: they are taken; 1: they cannot be, or are too large for a repository."""
    if reason := missing_tools():
        complain(f"no pictures: {reason}")
        return 1
    pages = [
        page
        for page in json.loads(_PAGES.read_text("utf-8"))
        if not words or any(word in page["name"] for word in words)
    ]
    with own_stack("camera") as stack:
        _take(stack, asyncio.run(_scene(stack.endpoints)), pages)
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    out.print(f"{len(list(FOLDER.iterdir()))} pictures in docs/screenshots, {size / 1e6:.1f} MB")
    if size > MOST_BYTES:
        complain(f"that is more than {MOST_BYTES / 1e6:.0f} MB")
    return int(size > MOST_BYTES)


async def _scene(endpoints: Endpoints) -> Scene:
    async with open_edge(endpoints.edge, 4) as edge:
        return await set_scene(edge, endpoints.admin)


def _take(stack: OwnStack, scene: Scene, pages: list[dict[str, Any]]) -> None:
    """Has the browser take them; each that is there, it says in a line."""
    FOLDER.mkdir(exist_ok=True)
    asked = {"edge": stack.endpoints.edge, "folder": str(FOLDER), "pages": pages, **scene._asdict()}
    command = ["node", str(Path("tests") / "screenshots.mjs")]
    with (
        subprocess.Popen(
            command, cwd=WEB, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as browser,
        progress() as bars,
    ):
        task = bars.add_task("pictures", total=_VARIANTS * len(pages), note="")
        assert browser.stdin is not None
        assert browser.stdout is not None
        browser.stdin.write(json.dumps(asked))  # not among the arguments, which anybody may read
        browser.stdin.close()
        for line in browser.stdout:
            bars.update(task, advance=1, note=line.strip())
    if browser.returncode:
        raise SystemExit(browser.returncode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The pages of web/: what Envoy answers with at the root, from files read when it starts."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stack.processes import ROOT

Config = dict[str, Any]

_INSTALLED = Path(__file__).with_name("web")  # where a wheel has them; see setup.py
BUILT = _INSTALLED if _INSTALLED.exists() else ROOT / "web" / "dist"
_DOCUMENT = "index.html"  # of every page; its script shows the one that the path names
_PATHS = "pages.json"  # the first parts of the pages' paths; below /admin/api is none

# Nothing but what comes from here, save pictures: prizes have them from wherever an operator says.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; "
    "connect-src 'self'; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_GUARDED = {".html", ".js"}  # a worker goes by the policy that its script comes with
_READS = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
_UNPACKS = {"name": "accept-encoding", "string_match": {"contains": "gzip"}}
# What shapes the API's answers leaves these alone.
_AS_THEY_ARE = {
    "envoy.filters.http.lua": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute",
        "disabled": True,
    }
}


class _File(NamedTuple):
    path: str
    """Of its URL, without the first slash."""
    content: bytes

    @property
    def suffix(self) -> str:
        return Path(self.path).suffix

    @property
    def name(self) -> str:
        """Among the files that Envoy reads."""
        return "pages_" + self.path.replace("/", "_")

    @property
    def packed(self) -> bytes:
        return gzip.compress(self.content, mtime=0)

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    @property
    def cache_control(self) -> str:
        if self.path == _DOCUMENT:
            return "no-cache"
        # The names of these change with their content.
        is_hashed = self.path.startswith("assets/")
        return f"public, max-age={'31536000, immutable' if is_hashed else '3600'}"


def _files() -> list[_File]:
    found = (path for path in sorted(BUILT.rglob("*")) if path.is_file() and path.name != _PATHS)
    return [_File(path.relative_to(BUILT).as_posix(), path.read_bytes()) for path in found]


def page_files() -> dict[str, bytes]:
    """The files that page_routes() refers to, by their names."""
    files = _files()
    plain = {file.name: file.content for file in files}
    return plain | {f"{file.name}.gz": file.packed for file in files}


def page_routes(folder: Path) -> list[Config]:
    """
    Envoy's routes to the pages and to what they load: for GET and HEAD alone.

    Args:
        folder: Where page_files() lie when Envoy reads them.
    """
    return [route for file in _files() for route in _of_file(file, folder)]


def page_paths() -> list[Config]:
    """How Envoy matches the paths of all of them, whatever is asked there."""
    others = [{"path": f"/{file.path}"} for file in _files() if file.path != _DOCUMENT]
    return [_of_documents(), *others]


def _of_documents() -> Config:
    first: Sequence[str] = json.loads((BUILT / _PATHS).read_text("utf-8"))
    return {"safe_regex": {"regex": f"/(?:(?:{'|'.join(first)})(?:/.*)?)?"}}


def _of_file(file: _File, folder: Path) -> Iterator[Config]:
    path = _of_documents() if file.path == _DOCUMENT else {"path": f"/{file.path}"}
    known = {"name": "if-none-match", "string_match": {"contains": file.tag}}
    yield _route(path, [known], {"status": 304}, _headers(file))
    for headers, ending, coding in (([_UNPACKS], ".gz", "gzip"), ([], "", "")):
        more = {"content-encoding": coding} if coding else {}
        body = {"filename": str(folder / f"{file.name}{ending}")}
        yield _route(path, headers, {"status": 200, "body": body}, _headers(file) | more)


def _headers(file: _File) -> dict[str, str]:
    guard = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}
    return {
        "content-type": _TYPES[file.suffix],
        "cache-control": file.cache_control,
        "etag": file.tag,
        "vary": "accept-encoding",
        **(guard if file.suffix in _GUARDED else {}),
    }


def _route(path: Config, headers: list[Config], answer: Config, said: dict[str, str]) -> Config:
    return {
        "name": "page",
        "match": path | {"headers": [_READS, *headers]},
        "direct_response": answer,
        "response_headers_to_add": [
            {
                "header": {"key": key, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
            for key, value in said.items()
        ],
        "response_headers_to_remove": ["location"],  # of a 304; Envoy takes it for a redirect
        "typed_per_filter_config": _AS_THEY_ARE,
    }

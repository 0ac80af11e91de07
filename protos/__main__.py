"""Builds what is generated from the protos and committed, and checks that it is fresh."""

import filecmp
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"
STUBS = ROOT / "gen"
DESCRIPTOR = ROOT / "envoy" / "kuji.binpb"
OPENAPI = ROOT / "envoy" / "openapi.json"
ERRORS_PAGE = ROOT / "docs" / "errors.md"
BASELINE = SOURCES / "baseline.binpb"
# What clients get beside the stubs.
WRITTEN_BY_HAND = {Path("puzzle.py")}
# Envoy can only show an error's details when it knows their types.
EXTRA_TYPES = ["google/rpc/error_details.proto", "google/rpc/status.proto"]


def _folder_of(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _well_known_includes() -> list[str]:
    googleapis = _folder_of("google.api.annotations_pb2").parent.parent
    return [str(googleapis), str(_folder_of("grpc_tools") / "_proto")]


def _protoc(*arguments: str) -> None:
    includes = [f"-I{path}" for path in [str(SOURCES), *_well_known_includes()]]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes, *arguments]
    subprocess.run(command, check=True, env={"PATH": str(Path(sys.executable).parent)})


def _own_files() -> list[str]:
    return sorted(str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.proto"))


def build(stubs: Path, descriptor: Path) -> None:
    """Write the stubs below *stubs* and the descriptor set to *descriptor*."""
    stubs.mkdir(parents=True, exist_ok=True)
    plain = ["python_out", "grpc_python_out"]
    typed = ["mypy_out", "mypy_grpc_out"]
    _protoc(
        *[f"--{output}={stubs}" for output in plain],
        *[f"--{output}=quiet:{stubs}" for output in typed],
        *_own_files(),
    )
    for folder in {path.parent for path in (stubs / "kuji").rglob("*_pb2.py")}:
        for package in [folder, *folder.parents]:
            if package == stubs:
                break
            (package / "__init__.py").touch()
    (stubs / "kuji" / "py.typed").touch()
    _protoc(
        "--include_imports",
        f"--descriptor_set_out={descriptor}",
        *_own_files(),
        *EXTRA_TYPES,
    )


def documents() -> dict[Path, str]:
    """What is generated from the stubs and the comments of the protos, by where it is kept."""
    # Not before: the stubs may have been built just now.
    from protos.comments import comments_of
    from protos.errors_page import with_tables
    from protos.openapi.document import text_of

    with tempfile.TemporaryDirectory() as folder:
        image = _image(Path(folder))
        files = FileDescriptorSet.FromString(image.read_bytes())
    return {OPENAPI: text_of(comments_of(files)), ERRORS_PAGE: with_tables(ERRORS_PAGE.read_text())}


def _image(folder: Path) -> Path:
    """The protos with their comments."""
    image = folder / "image.binpb"
    output = f"--descriptor_set_out={image}"
    _protoc("--include_imports", "--include_source_info", output, *_own_files())
    return image


def _stale(fresh: Path, committed: Path) -> list[str]:
    fresh_files = {p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file()}
    committed_files = {
        p.relative_to(committed)
        for p in committed.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and "egg-info" not in str(p)
    }
    changed = {
        p
        for p in fresh_files & committed_files
        if not filecmp.cmp(fresh / p, committed / p, shallow=False)
    }
    differing = (fresh_files ^ committed_files) - WRITTEN_BY_HAND
    return sorted(str(p) for p in differing | changed)


def _buf(*arguments: str) -> int:
    command = [str(Path(sys.executable).parent / "buf"), *arguments]
    return subprocess.run(command, check=False, cwd=ROOT).returncode


def check() -> int:
    """Fail on stale stubs, on lint findings and on breaking changes of the protos."""
    with tempfile.TemporaryDirectory() as folder:
        stubs, descriptor = Path(folder) / "gen", Path(folder) / "kuji.binpb"
        build(stubs, descriptor)
        stale = _stale(stubs / "kuji", STUBS / "kuji")
        if stale or not filecmp.cmp(descriptor, DESCRIPTOR, shallow=False):
            print("stale: run `make proto` and commit:", *stale or [DESCRIPTOR.name])
            return 1
        if outdated := [
            str(path) for path, text in documents().items() if path.read_text() != text
        ]:
            print("stale: run `make proto` and commit:", *outdated)
            return 1
        image = _image(Path(folder))
        ours = [
            f"--path=kuji/{path}"
            for path in ("common", "auth", "draw", "admin", "history", "blindbox")
        ]
        findings = _buf("lint", str(image), "--config", "buf.yaml", *ours)
        breaks = _buf("breaking", str(image), "--against", str(BASELINE), "--config", "buf.yaml")
        return findings or breaks


def main() -> int:
    """`build` writes what is generated; `baseline` accepts the protos as published."""
    match sys.argv[1:]:
        case ["build"]:
            build(STUBS, DESCRIPTOR)
            for path, text in documents().items():
                path.write_text(text)
        case ["baseline"]:
            _protoc("--include_imports", f"--descriptor_set_out={BASELINE}", *_own_files())
        case ["check"]:
            return check()
        case _:
            print("usage: python -m protos build|check|baseline")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

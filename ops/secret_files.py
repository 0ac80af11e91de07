"""The same secrets as files, for a platform on one machine: compose.yaml refers to them by name."""

from collections.abc import Iterator
from pathlib import Path

from ops.cluster_secrets import secret_list
from ops.errors import OperatorError
from stack.home import write_privately

_IS_SET = (
    "There are secrets in {} already, and the data needs them; remove the folder to start afresh"
)


def write_secret_files(folder: Path) -> list[Path]:
    """
    Write NAME.env for each part, and what is a file in itself, with fresh values.

    Raises:
        OperatorError: There are some, or they cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OperatorError(f"{folder} holds something already, and is left as it is")
        return [_write(folder / name, content) for name, content in _files()]
    except OSError as error:
        raise OperatorError(f"{error.filename}: {error.strerror}") from error


def _files() -> Iterator[tuple[str, str]]:
    for secret in secret_list("")["items"]:
        values: dict[str, str] = secret["stringData"]
        name = secret["metadata"]["name"].removeprefix("kuji-")
        lines = {key: text for key, text in values.items() if "." not in key}
        yield f"{name}.env", "".join(f"{key}={text}\n" for key, text in lines.items())
        yield from ((key, text) for key, text in values.items() if "." in key)


def _write(file: Path, content: str) -> Path:
    write_privately(file, content)
    if file.suffix == ".acl":
        file.chmod(0o644)  # Valkey's own user reads it; it holds hashes of random passwords alone
    return file

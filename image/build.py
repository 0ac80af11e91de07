"""The image, from the Dockerfile and what `make image-wheels` has laid into dist/image."""

import json
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

from image.tools import ImageError, run

ROOT = Path(__file__).resolve().parent.parent
NAME = "localhost/kuji:dev"


def build(name: str, base: str) -> None:
    """
    Build the image *name* on the image *base*.

    Raises:
        ImageError: It cannot be built.
    """
    arguments = {"BASE": base, "VERSION": version(), "REVISION": revision()}
    options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
    # The environment's proxies are the builder's own business.
    quiet = ["--quiet", "--isolation", "chroot", "--http-proxy=false", "--pull-never"]
    former = run(["podman", "images", "--quiet", "--no-trunc", name]).split()
    run(["buildah", "bud", *quiet, *options, "--tag", name, str(ROOT)])
    _forget(former, name)


def _forget(former: list[str], name: str) -> None:
    """Remove the images that had the *name*, unless a container still runs one."""
    for image in former:
        if image not in run(["podman", "images", "--quiet", "--no-trunc", name]).split():
            with suppress(ImageError):
                run(["podman", "image", "rm", image])


def version() -> str:
    """Of Kuji, as pyproject.toml says it."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return str(content["project"]["version"])


def revision() -> str:
    """The commit that is checked out; "unknown" where there is no history."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    return done.stdout.strip() or "unknown"


def size_of(name: str) -> int:
    """Bytes of the image, unpacked."""
    (about,) = json.loads(run(["podman", "image", "inspect", name]))
    return int(about["Size"])

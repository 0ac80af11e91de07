"""What pyproject.toml cannot say of the wheel: Envoy's files, pages and stubs lie elsewhere."""

import tomllib
from pathlib import Path

from setuptools import find_namespace_packages, setup

HERE = Path(__file__).resolve().parent
ABOUT = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))
STUBS = HERE / "gen"
# In the wheel they are below the package that reads them: `envoy` itself is Envoy's own wheel.
EDGE = "stack.edge.envoy"
PAGES = "stack.edge.web"


def stubs() -> str:
    """
    The stubs of this version; in a checkout those beside it, so that no index is asked for them.

    A source distribution has none, and so a wheel that is made of one names the version.
    """
    if (STUBS / "pyproject.toml").exists():
        return f"kuji @ {STUBS.as_uri()}"
    return f"kuji=={ABOUT['project']['version']}"


setup(
    packages=[
        *find_namespace_packages(
            include=["demo", "demo.*", "ops", "ops.*", "services", "services.*", "stack", "stack.*"]
        ),
        EDGE,
        *(f"{EDGE}.{name}" for name in find_namespace_packages("envoy")),
        PAGES,
        *(f"{PAGES}.{name}" for name in find_namespace_packages("web/dist")),
    ],
    package_dir={EDGE: "envoy", PAGES: "web/dist"},
    install_requires=[*ABOUT["tool"]["kuji"]["dependencies"], stubs()],
)

"""docs/operations.md lists every setting there is, with its default, and every secret."""

import re

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from ops.connections import OpsSettings
from services.admin.settings import AdminSettings
from services.auth.settings import AuthSettings
from services.common.traces.settings import TraceSettings
from services.draw.settings import DrawSettings
from services.history.settings import HistorySettings
from services.recorder.settings import RecorderSettings
from stack.edge.settings import ContainerEdgeSettings
from stack.home import SECRET_NAMES
from stack.processes import ROOT
from stack.settings import StackSettings

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
SERVICES: dict[str, type[BaseSettings]] = {
    "auth": AuthSettings,
    "draw": DrawSettings,
    "admin": AdminSettings,
    "history": HistorySettings,
    "recorder": RecorderSettings,
}
PROCESSES: dict[str, type[BaseSettings]] = {
    "stack": StackSettings,
    "kuji": OpsSettings,
    "edge-config": ContainerEdgeSettings,
    "everything": TraceSettings,
    **SERVICES,
}
# Read elsewhere than in the settings: which program to start, what passwords follow from.
OF_THE_STACK = {("KUJI_REDIS_SERVER", "stack", ""), ("KUJI_STORES_SECRET", "stack", "made")}

_ROW = re.compile(r"^\| `((?:KUJI|OTEL)_\w+)` \| ([^|]*) \| ([^|]*) \| \S[^|]* \|$", re.MULTILINE)


def _shown(field: FieldInfo) -> str:
    """A default, as the page writes it."""
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:.12g}`"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def test_page_lists_every_setting_with_its_default() -> None:
    """One row for a variable and a default; none is missing, none is of the past."""
    expected = {
        (f"{kind.model_config.get('env_prefix')}{name.upper()}", process, _shown(field))
        for process, kind in PROCESSES.items()
        for name, field in kind.model_fields.items()
    }
    listed = {
        (name, process, default.strip())
        for name, of, default in _ROW.findall(PAGE.partition("## Settings")[2])
        for process in (SERVICES if of == "every service" else of.split(", "))
    }
    assert (set(), set()) == ((expected | OF_THE_STACK) - listed, listed - expected - OF_THE_STACK)


def test_page_says_how_each_secret_is_changed() -> None:
    """Whatever is in secrets.json, and what the edge shows."""
    table = PAGE.partition("## Secrets")[2].partition("## Settings")[0]
    named = set(re.findall(r"^\| `(KUJI_\w+)` \| [^|]+ \| [^|]+ \| [^|]+ \|$", table, re.MULTILINE))
    assert SECRET_NAMES | {"KUJI_EDGE_SECRET"} == named

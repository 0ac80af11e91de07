"""Settings read from the environment."""

import pytest
from pydantic import ValidationError

from services.common.settings import ServiceSettings, read_settings


def test_settings_come_from_kuji_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """KUJI_LISTEN is listen; what is not set has its default."""
    monkeypatch.setenv("KUJI_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("KUJI_DRAIN_S", "2.5")
    monkeypatch.delenv("KUJI_METRICS_LISTEN", raising=False)
    settings = read_settings(ServiceSettings)
    assert (settings.listen, settings.drain_s, settings.metrics_listen) == ("127.0.0.1:1", 2.5, "")


def test_settings_are_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read once, they stay."""
    monkeypatch.setenv("KUJI_LISTEN", "127.0.0.1:1")
    settings = read_settings(ServiceSettings)
    with pytest.raises(ValidationError):
        settings.listen = "127.0.0.1:2"


def test_process_stops_naming_each_variable_when_several_are_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence for each variable, exit code 2."""
    monkeypatch.delenv("KUJI_LISTEN", raising=False)
    monkeypatch.setenv("KUJI_DRAIN_S", "soon")
    with pytest.raises(SystemExit) as caught:
        read_settings(ServiceSettings)
    sentences = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert sentences[0] == "kuji: KUJI_LISTEN is not set"
    assert sentences[1].startswith("kuji: KUJI_DRAIN_S is unfit: ")

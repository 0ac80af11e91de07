"""What the auth process is told, and what it refuses to be told."""

import pytest

from services.auth.settings import AuthSettings
from services.common.settings import read_settings

ENVIRONMENT = {
    "KUJI_LISTEN": "127.0.0.1:0",
    "KUJI_POSTGRES_DSN": "postgresql://127.0.0.1/none",
    "KUJI_TOKEN_KEY_SECRET": "0f" * 32,
    "KUJI_SERVICE_SECRET": "a service secret",
    "KUJI_ADMIN_PASSWORD": "an admin password",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KUJI_ADMIN_USERNAME", raising=False)


def test_key_secret_is_32_bytes_when_given_as_hex() -> None:
    """64 hex digits become the 32 bytes of an AES-256 key."""
    settings = read_settings(AuthSettings)
    assert bytes([0x0F] * 32) == settings.token_key_secret.get_secret_value()
    assert settings.admin_username == "admin"


def test_settings_hide_secrets_when_printed() -> None:
    """No secret gets into a log by way of its settings."""
    shown = repr(read_settings(AuthSettings))
    assert "a service secret" not in shown
    assert "an admin password" not in shown
    assert "\\x0f" not in shown


@pytest.mark.parametrize(
    "name", ["KUJI_TOKEN_KEY_SECRET", "KUJI_SERVICE_SECRET", "KUJI_ADMIN_PASSWORD"]
)
def test_process_stops_with_a_sentence_when_a_secret_is_missing(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No secret has a default: exit code 2 and the variable's name."""
    monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as caught:
        read_settings(AuthSettings)
    assert caught.value.code == 2
    assert f"kuji: {name} is not set\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KUJI_TOKEN_KEY_SECRET", "0f" * 31),
        ("KUJI_TOKEN_KEY_SECRET", "zz" * 32),
        ("KUJI_SERVICE_SECRET", "too short"),
        ("KUJI_ADMIN_PASSWORD", "7 chars"),
        ("KUJI_ADMIN_USERNAME", "no spaces"),
    ],
)
def test_process_stops_without_showing_it_when_a_secret_is_unfit(
    name: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An unfit value is refused by the variable's name; the value itself is not printed."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        read_settings(AuthSettings)
    message = capsys.readouterr().err
    assert caught.value.code == 2
    assert message.startswith(f"kuji: {name} is unfit: ")
    assert value not in message

"""The page of alerts: nobody configured, somebody configured, and what became of messages."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pages import _data
from tests.pages.product import open_product, words
from warehouse.outbox import PAUSES, Outbox

PAGE = "operate/alerts.py"
NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
SETTINGS = """
[alerts]
base_url = "https://costs.example.com"
minimum = 20
quiet_hours = "22:00-07:00"
quiet_days = ["Sun"]
[[alerts.channel]]
kind = "slack"
url_env = "TEAM_HOOK"
[[alerts.channel]]
kind = "email"
host = "smtp.example.com"
from = "percall@example.com"
to = ["cfo@example.com"]
about = ["budgets"]
"""


@pytest.fixture
def store(small: Path, tmp_path: Path) -> Path:
    """A copy of the small store that may be written into."""
    return Path(shutil.copytree(small, tmp_path / "store"))


def _configure(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "percall.toml").write_text(text)
    monkeypatch.setenv(_data.CONFIG_VARIABLE, str(folder / "percall.toml"))
    _data.configuration.cache_clear()


def test_without_a_channel_it_says_how_to_make_one(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_product(monkeypatch, small, PAGE)
    assert "Nobody is told yet" in words(app)
    assert "[[alerts.channel]]" in app.code[0].value
    assert "alert_test" not in [button.key for button in app.button]


def test_it_is_there_before_anything_was_loaded(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Nobody is told yet" in words(open_product(monkeypatch, empty_store, PAGE))


def test_channels_without_secrets(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_HOOK", "https://hooks.example.com/very-secret")
    _configure(monkeypatch, tmp_path, SETTINGS)
    app = open_product(monkeypatch, store, PAGE)
    text = words(app)
    assert "2 channels are told; nothing was to be told yet" in text
    assert "Anomalies of at least $20.00, by either detector, quiet from 22:00 to 07:00 (UTC), quiet on Sun" in text
    frame = app.dataframe[0].value
    assert frame["where"].tolist() == ["the address in TEAM_HOOK", "cfo@example.com by smtp.example.com"]
    assert frame["about"].tolist() == ["everything", "budgets"]
    assert "very-secret" not in text + frame.to_csv()


def test_what_was_told_and_whether_it_arrived(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure(monkeypatch, tmp_path, SETTINGS)
    outbox, now = Outbox(store), NOW
    for name in ("sent one", "given up", "waiting"):
        body = {"topic": "budgets", "title": f"Budget {name}", "lines": ["Spent a lot."]}
        outbox.tell(f"budgets:{name}", {}, {"slack": body}, event="90", now=now)
        now += timedelta(seconds=1)
    first = outbox.claim(now)
    assert first is not None
    outbox.sent(first, now)
    second = outbox.claim(now)
    assert second is not None
    outbox.failed(second, "answered 404", now, for_good=True)
    third = outbox.claim(now)
    assert third is not None
    outbox.failed(third, "answered 500", now)

    app = open_product(monkeypatch, store, PAGE)
    assert "2 channels are told; 1 message was given up" in words(app)
    frame = app.dataframe[1].value
    rows = {
        title: (state, error)
        for title, state, error in zip(frame["title"], frame["state"], frame["error"], strict=True)
    }
    assert rows["Budget given up"] == ("✕ given up", "answered 404")
    assert rows["Budget waiting"] == ("◌ waiting", "answered 500")
    assert rows["Budget sent one"][0] == "● sent"
    waits = frame.loc[frame["title"] == "Budget waiting", "next"].iloc[0]
    assert waits == now.replace(tzinfo=None) + timedelta(seconds=PAUSES[0])
    assert "Spent a lot." in words(app)
    assert {"alert_test", "alert_now", "alert_retry"} <= {str(button.key) for button in app.button}


def test_settings_that_cannot_be_used_are_said(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure(monkeypatch, tmp_path, '[alerts]\nquiet_hours = "late"\n')
    text = words(open_product(monkeypatch, store, PAGE))
    assert "the section [alerts] cannot be used" in text
    assert "22:00-07:00" in text


def test_a_test_message_is_sent_by_the_command(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure(monkeypatch, tmp_path, '[[alerts.channel]]\nkind = "slack"\nurl_env = "NO_SUCH_HOOK"\n')
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    app = open_product(monkeypatch, store, PAGE)
    app.button(key="alert_test").click().run()
    assert "NO_SUCH_HOOK" in words(app)

"""`percall review`: one content in every form, in agreement with the exports, and sent once."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tests.analytics.review_store import build
from tests.operations.command import percall, totals
from tests.operations.receivers import MailServer, Webhook
from warehouse.outbox import PENDING, SENT, Outbox

WEEK = ("--from", "2026-05-25", "--to", "2026-05-31")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a store of six weeks; nobody writes into it."""
    return build(tmp_path_factory.mktemp("review_command"))


@pytest.fixture
def store(loaded: Path, tmp_path: Path) -> Path:
    """A copy of that store."""
    return Path(shutil.copytree(loaded, tmp_path / "store"))


def _config(folder: Path, kind: str = "slack", about: str = "") -> Path:
    path = folder / "percall.toml"
    path.write_text(
        f'[alerts]\nbase_url = "https://costs.example.com"\n[[alerts.channel]]\nkind = "{kind}"\nurl_env = "REVIEW_HOOK"\n{about}\n'
    )
    return path


def test_the_review_agrees_with_the_exports_to_the_last_digit(loaded: Path) -> None:
    answer = percall("review", "--week", "2026-W22", "--format", "json", store=loaded)
    assert answer.code == 0, answer.err
    sections = {one["section"]: one for one in answer.json["sections"]}
    effective = Decimal(totals(loaded, *WEEK)["ledger_cost"])
    features = sections["features"]["rows"]
    assert sum(Decimal(row["cost"]) for row in features) == effective == 112

    changed = percall("export", "why-changed", *WEEK, "--format", "json", store=loaded).json
    *parts, difference = sections["changed"]["rows"]
    by_driver: dict[str, Decimal] = {}
    for row in changed:
        by_driver[row["driver"].capitalize()] = by_driver.get(row["driver"].capitalize(), Decimal(0)) + Decimal(
            row["amount"]
        )
    assert {row["driver"]: Decimal(row["amount"]) for row in parts} == {
        name: part for name, part in by_driver.items() if part
    }
    assert Decimal(difference["amount"]) == sum(by_driver.values()) == 21

    margins = percall("export", "margins", *WEEK, "--format", "json", store=loaded).json
    losing = {(row["feature"], row["user_tier"]): row["saving_if_off"] for row in margins if row["saving_if_off"]}
    told = {(row["feature"], row["user_tier"]): row["saving_if_off"] for row in sections["losses"]["rows"]}
    assert {key: Decimal(value) for key, value in told.items()} == {
        key: Decimal(value) for key, value in losing.items()
    }

    found = percall("export", "untagged", *WEEK, "--format", "json", store=loaded).json
    lacking = sum(Decimal(row["cost"]) for row in found)
    assert sum(Decimal(row["cost"]) for row in sections["untagged"]["rows"]) == lacking == 112


@pytest.mark.slow
def test_the_review_of_the_demo_company_agrees_with_its_exports(demo_store: Path) -> None:
    answer = percall("review", "--format", "json", store=demo_store)
    assert answer.json["week"] == "2026-W22"
    sections = {one["section"]: one for one in answer.json["sections"]}
    assert not [one["section"] for one in answer.json["sections"] if one["mark"] == "unknown"]
    effective = Decimal(totals(demo_store, *WEEK)["ledger_cost"])
    assert sum(Decimal(row["cost"]) for row in sections["features"]["rows"]) == effective
    waste = percall("export", "waste", *WEEK, "--format", "json", store=demo_store).json
    assert [row["waste_per_month"] for row in sections["waste"]["rows"]] == [
        row["waste_per_month"] for row in waste[:8]
    ]


@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("markdown", b"# Weekly review 2026-W22"),
        ("html", b"<!DOCTYPE html>"),
        ("pdf", b"%PDF"),
        ("slack", b'{"text"'),
        ("json", b'{"week"'),
    ],
    ids=["markdown", "html", "pdf", "slack", "json"],
)
def test_every_form_is_written_to_a_file_and_to_stdout(loaded: Path, tmp_path: Path, form: str, begins: bytes) -> None:
    written = percall("review", "--week", "2026-05-27", "--format", form, "-o", tmp_path / "review", store=loaded)
    assert (written.code, written.out) == (0, b""), written.err
    assert (tmp_path / "review").read_bytes().startswith(begins)
    if form == "slack":
        assert percall("review", "--format", form, store=loaded).out == (tmp_path / "review").read_bytes()


def test_bad_usage_is_said_in_words(loaded: Path, empty_store: Path) -> None:
    for options, words in (
        (("--format", "docx"), "markdown, html, pdf, slack, json"),
        (("--week", "2026-W99"), "2026-W22"),
        (("--week", "2027-W01"), "has no data"),
        (("--again",), "--send"),
        (("--send",), "no channel takes reviews"),
    ):
        answer = percall("review", *options, store=loaded)
        assert answer.code == 2
        assert words in answer.err
    assert percall("review", store=empty_store).code == 2


def test_a_week_is_sent_once_to_a_channel(
    store: Path, tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEW_HOOK", hook.url)
    config = _config(tmp_path)
    first = percall("review", "--send", store=store, config=config)
    assert (first.code, first.out) == (0, b""), first.err
    ((_headers, body),) = hook.requests
    printed = percall("review", "--format", "slack", store=store, config=config).json
    assert json.loads(body) == printed
    assert "https://costs.example.com/weekly-review?week=2026-W22" in body.decode()

    second = percall("review", "--send", store=store, config=config)
    assert second.code == 0
    assert "was sent before" in second.err
    assert len(hook.requests) == 1
    assert percall("review", "--send", "--again", store=store, config=config).code == 0
    assert len(hook.requests) == 2
    assert len(hook.taken) == 2, "a repetition on purpose has a delivery of its own"
    assert hook.url not in (store / "state.sqlite").read_bytes().decode("latin-1")


def test_a_review_that_did_not_arrive_is_kept_and_says_no_secret(
    store: Path, tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEW_HOOK", hook.url)
    hook.failures, hook.faults = 1.0, ("500",)
    answer = percall("review", "--send", store=store, config=_config(tmp_path, "webhook"))
    assert answer.code == 2
    assert "answered 500" in answer.err
    assert hook.url not in answer.err
    (message,) = Outbox(store).messages()
    assert (message.state, message.attempts) == (PENDING, 1)
    assert message.body["topic"] == "review"


def test_a_generic_webhook_gets_a_line_per_section(
    store: Path, tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEW_HOOK", hook.url)
    assert percall("review", "--send", store=store, config=_config(tmp_path, "webhook")).code == 0
    (body,) = hook.taken.values()
    assert "slack" not in body
    assert body["title"].startswith("Weekly review 2026-W22, 25 – 31 May 2026: The week cost $112.00")
    assert "Features (to decide): write is rising: $35.00, +150% against its usual week." in body["lines"]
    assert Outbox(store).messages()[0].state == SENT


def test_a_channel_that_is_about_something_else_gets_no_review(
    store: Path, tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEW_HOOK", hook.url)
    answer = percall("review", "--send", store=store, config=_config(tmp_path, about='about = ["budgets"]'))
    assert answer.code == 2
    assert '"review"' in answer.err
    assert not hook.requests


def test_a_review_comes_by_mail(store: Path, tmp_path: Path, mail: MailServer) -> None:
    path = tmp_path / "percall.toml"
    path.write_text(
        f'[[alerts.channel]]\nkind = "email"\nhost = "127.0.0.1"\nport = {mail.port}\nsecurity = "none"\n'
        'from = "percall@example.com"\nto = ["cfo@example.com"]\n'
    )
    answer = percall("review", "--send", store=store, config=path)
    assert answer.code == 0, answer.err
    (message,) = mail.mails
    assert message["Subject"].startswith("Weekly review 2026-W22")
    text = message.get_body(("plain",)).get_content()
    assert "Features that lose money (to decide): 1 of 2 feature and tier pairs" in text

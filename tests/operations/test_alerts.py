"""Alerts: what is told, once, and to whom; whatever the receivers do. The figures are those of the exports."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from analytics.alert_settings import read_alert_settings
from connectors.live.secrets import Secrets
from connectors.live.sync_records import FAILED, FINE, SyncRecords
from operations.alerting.message import Alert
from operations.alerting.telling import deliver, tell
from tests.operations.alert_settings import NOON, WEBHOOK, alert_secrets, alert_settings
from tests.operations.command import percall
from tests.operations.receivers import Webhook
from warehouse.configuration import Configuration, read_configuration
from warehouse.errors import InputError
from warehouse.outbox import CLAIM, GIVEN_UP, PAUSES, PENDING, SENT, Outbox
from warehouse.reader import open_current

START = datetime(2026, 5, 1)

DAYS = 40


def _calls(spike: int = 1, days: int = DAYS, after: int = 0) -> str:
    """Ten calls of 1 USD on each of so many days, `spike` times as many on day 40, and days without a spike after it."""
    rows = ["call_id,started_at,model,feature,input_tokens,output_tokens,reported_cost"]
    for day in range(days + after):
        calls = 10 * spike if day == days - 1 else 10
        at = START + timedelta(days=day, hours=9)
        rows += [f"c{day}-{n},{at:%Y-%m-%dT%H:%M:%SZ},gpt-4o,summarize,100,50,1.00" for n in range(calls)]
    return "\n".join(rows) + "\n"


def _load(store: Path, text: str, name: str = "calls.csv") -> None:
    path = store.parent / name
    path.write_text(text)
    answer = percall("load", path, store=store)
    assert answer.code == 0, answer.err


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a store whose last day cost five times as much as every day before; nobody writes into it."""
    store = tmp_path_factory.mktemp("spiked") / "store"
    _load(store, _calls(spike=5))
    return store


@pytest.fixture
def spiked(loaded: Path, tmp_path: Path) -> Path:
    """A copy of that store."""
    return Path(shutil.copytree(loaded, tmp_path / "store"))


def test_a_spike_is_told_once_with_its_reason_and_the_figures_of_the_export(spiked: Path, hook: Webhook) -> None:
    settings, outbox = alert_settings(base_url="https://costs.example.com"), Outbox(spiked)
    told = tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON)
    (alert,) = told
    assert alert.amount is not None
    assert Decimal(alert.amount) == 40
    assert "$40" in alert.title
    assert any("5" in line and "calls" in line for line in alert.lines), alert.lines
    assert alert.link == "https://costs.example.com/anomalies"
    exported = percall(
        "export", "anomalies", "--from", "2026-06-09", "--to", "2026-06-09", "--format", "json", store=spiked
    ).json
    assert {Decimal(row["excess"]) for row in exported if row["series"] == "total"} == {Decimal(40)}

    outcome = deliver(settings, outbox, alert_secrets(hook), lambda: NOON)
    assert (outcome.sent, outcome.failed) == (1, 0)
    (body,) = hook.taken.values()
    assert body["title"] == alert.title
    assert not body["possibly_repeated"]
    for _ in range(3):
        assert not tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON + timedelta(hours=1))
        assert deliver(settings, outbox, alert_secrets(hook), lambda: NOON + timedelta(hours=1)).sent == 0
    assert len(hook.requests) == 1


def test_a_webhook_can_check_who_speaks(spiked: Path, hook: Webhook) -> None:
    settings, outbox = alert_settings(), Outbox(spiked)
    tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON)
    deliver(settings, outbox, alert_secrets(hook), lambda: NOON)
    ((headers, body),) = hook.requests
    signed = headers["x-percall-timestamp"].encode() + b"." + body
    assert headers["x-percall-signature"] == "sha256=" + hmac.new(b"s3cret-key", signed, hashlib.sha256).hexdigest()


def test_what_ended_is_told_to_be_over(spiked: Path) -> None:
    settings, outbox = alert_settings(), Outbox(spiked)
    tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON)
    _load(spiked, _calls(spike=5, after=6), "later.csv")
    (over,) = tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON + timedelta(days=6))
    assert over.resolved
    assert over.title.startswith("Over: ")
    assert not tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON + timedelta(days=7))


def test_an_excess_that_doubles_is_told_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    _load(store, _calls(spike=3))
    settings, outbox = alert_settings(), Outbox(store)
    (first,) = tell(open_current(store, Configuration()), settings, outbox, lambda: NOON)
    _load(store, _calls(spike=4), "late.csv")
    assert not tell(open_current(store, Configuration()), settings, outbox, lambda: NOON)
    _load(store, _calls(spike=6), "later.csv")
    (second,) = tell(open_current(store, Configuration()), settings, outbox, lambda: NOON)
    assert (first.subject, first.amount, second.amount) == (second.subject, "20.000000000000", "50.000000000000")


def test_what_costs_less_than_the_minimum_is_not_told(spiked: Path) -> None:
    outbox = Outbox(spiked)
    assert not tell(open_current(spiked, Configuration()), alert_settings(minimum="40.01"), outbox, lambda: NOON)
    assert tell(open_current(spiked, Configuration()), alert_settings(minimum=40), outbox, lambda: NOON)


def test_budgets_are_told_at_each_mark_and_on_a_forecast_that_exceeds_them(tmp_path: Path) -> None:
    store = tmp_path / "store"
    config = tmp_path / "percall.toml"
    config.write_text('[[budget]]\nname = "All"\namount = 150\nowner = "ann"\n')
    settings, outbox, configuration = alert_settings(), Outbox(store), read_configuration(config)
    told = []
    for days in (31 + 7, 31 + 8, 31 + 12, 31 + 14, 31 + 15, 31 + 16):
        _load(store, _calls(days=days), "calls.csv")
        told += tell(open_current(store, configuration), settings, outbox, lambda: NOON)
    events = [alert.event for alert in told if alert.topic == "budgets"]
    # 10 USD a day: 150 USD are half spent on the 8th, 75 % on the 12th, 90 % on the 14th, all on the 15th, exceeded on the 16th.
    marks = [event for event in events if event.isdigit()]
    assert marks == ["50", "75", "90", "100"]
    assert sum(event in ("likely", "certain") for event in events) in (1, 2)
    assert len(events) == len(set(events))
    assert all("ann" in "".join(alert.lines) for alert in told if alert.topic == "budgets")


def test_a_budget_is_told_on_a_first_day_that_is_not_complete(tmp_path: Path) -> None:
    store, config = tmp_path / "store", tmp_path / "percall.toml"
    # The source completes a day so late that of June no day is complete, nor will be when the clock turns to the next day: as on the first of
    # every month with a bill that lags.
    lag = (datetime.now(UTC).replace(tzinfo=None) - datetime(2026, 6, 1)).days + 2
    config.write_text(f'[[budget]]\nname = "All"\namount = 15\n[percall]\nusual_lag_days = {{ calls = {lag} }}\n')
    _load(store, _calls(days=32))
    told = tell(open_current(store, read_configuration(config)), alert_settings(), Outbox(store), lambda: NOON)
    (alert,) = (alert for alert in told if alert.topic == "budgets")
    assert (alert.amount, alert.event) == ("10.000000000000", "50")
    assert alert.lines[0] == "$10.00 is known so far, no day of June is complete yet; 30 days of it are left."


def test_a_source_that_fails_is_told_and_when_it_works_again(spiked: Path) -> None:
    settings, outbox, records = (
        alert_settings(channel=[{**WEBHOOK, "about": ["sources"]}]),
        Outbox(spiked),
        SyncRecords(spiked),
    )

    def run(state: str, message: str) -> None:
        number = records.start("langfuse-prod", "langfuse")
        records.end(number, state, rows_kept=0, rows_rejected=0, batches=0, message=message, next_at=None)

    def told() -> list[Alert]:
        found = tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON)
        return [alert for alert in found if "langfuse" in alert.title]

    run(FAILED, "the key has expired")
    (failed,) = told()
    assert failed.lines == ("the key has expired",)
    run(FAILED, "the key has expired")
    assert not told()
    run(FINE, "")
    (again,) = told()
    assert again.resolved


def test_a_topic_that_cannot_be_judged_keeps_the_others_from_nobody(spiked: Path) -> None:
    config = spiked.parent / "percall.toml"
    config.write_text('[[budget]]\nname = "Odd"\namount = "a lot"\n')
    broken, settings, outbox = read_configuration(config), alert_settings(), Outbox(spiked)
    told = tell(open_current(spiked, broken), settings, outbox, lambda: NOON)
    assert [alert.topic for alert in told] == ["anomalies", "budgets"]
    assert "Odd" in told[1].lines[0]
    assert not tell(open_current(spiked, broken), settings, outbox, lambda: NOON + timedelta(hours=1))
    (mended,) = tell(open_current(spiked, Configuration()), settings, outbox, lambda: NOON + timedelta(hours=2))
    assert mended.resolved


def test_quiet_time_delays_and_loses_nothing(spiked: Path, hook: Webhook) -> None:
    config = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    settings, outbox = alert_settings(quiet_hours="22:00-07:00"), Outbox(spiked)
    night = datetime(2026, 6, 11, 16, 30, tzinfo=UTC)  # 23:30 there
    assert tell(open_current(spiked, config), settings, outbox, lambda: night)
    assert deliver(settings, outbox, alert_secrets(hook), lambda: night).sent == 0
    assert deliver(settings, outbox, alert_secrets(hook), lambda: night + timedelta(hours=7, minutes=29)).sent == 0
    assert deliver(settings, outbox, alert_secrets(hook), lambda: night + timedelta(hours=7, minutes=30)).sent == 1


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-06-12T12:00", "2026-06-12T12:00"),  # a Friday's noon
        ("2026-06-12T23:00", "2026-06-15T07:00"),  # Friday night runs into the weekend and Monday's early hours
        ("2026-06-13T12:00", "2026-06-15T07:00"),
        ("2026-06-15T06:59", "2026-06-15T07:00"),
        ("2026-06-15T07:00", "2026-06-15T07:00"),
    ],
)
def test_when_something_may_be_told(now: str, until: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    settings = alert_settings(quiet_hours="22:00-07:00", quiet_days=["Sat", "Sun"])
    told = settings.tell_at(datetime.fromisoformat(now).replace(tzinfo=zone), zone)
    assert told == datetime.fromisoformat(until).replace(tzinfo=zone)


def test_no_message_is_lost_or_taken_twice_by_a_receiver_that_fails_at_random(tmp_path: Path, hook: Webhook) -> None:
    outbox, settings = Outbox(tmp_path), alert_settings()
    for number in range(30):
        alert = Alert("anomalies", f"anomalies:{number}", "open", f"Number {number}")
        outbox.tell(alert.subject, {}, {"webhook": alert.body()}, event="open", now=NOON)
    hook.failures = 0.6
    for day in range(len(PAUSES)):
        deliver(settings, outbox, alert_secrets(hook), lambda day=day: NOON + timedelta(days=day))
    clock = NOON + timedelta(days=len(PAUSES))
    hook.failures = 0.0
    given_up = [message for message in outbox.messages() if message.state == GIVEN_UP]
    outbox.retry([message.key for message in given_up], clock)
    deliver(settings, outbox, alert_secrets(hook), lambda: clock)
    assert {message.state for message in outbox.messages()} == {SENT}
    assert sorted(body["title"] for body in hook.taken.values()) == sorted(f"Number {number}" for number in range(30))
    assert len(hook.requests) > 30


def test_a_service_that_asks_to_wait_is_left_alone_so_long(tmp_path: Path, hook: Webhook) -> None:
    outbox, settings = Outbox(tmp_path), alert_settings()
    outbox.tell("s", {}, {"webhook": Alert("anomalies", "s", "open", "One").body()}, event="open", now=NOON)
    hook.failures, hook.faults = 1.0, ("429",)
    deliver(settings, outbox, alert_secrets(hook), lambda: NOON)
    hook.failures = 0.0
    assert deliver(settings, outbox, alert_secrets(hook), lambda: NOON + timedelta(seconds=89)).sent == 0
    assert deliver(settings, outbox, alert_secrets(hook), lambda: NOON + timedelta(seconds=90)).sent == 1


def test_who_dies_while_sending_leaves_a_message_that_is_sent_again_and_says_so(tmp_path: Path, hook: Webhook) -> None:
    outbox, settings = Outbox(tmp_path), alert_settings()
    outbox.tell("s", {}, {"webhook": Alert("anomalies", "s", "open", "One").body()}, event="open", now=NOON)
    assert outbox.claim(NOON) is not None  # and never heard of again
    assert deliver(settings, outbox, alert_secrets(hook), lambda: NOON + CLAIM / 2).sent == 0
    assert deliver(settings, outbox, alert_secrets(hook), lambda: NOON + CLAIM).sent == 1
    assert next(iter(hook.taken.values()))["possibly_repeated"]


def test_two_processes_at_once_send_each_message_once(tmp_path: Path, hook: Webhook) -> None:
    settings = alert_settings()
    Outbox(tmp_path).tell("0", {}, {}, event="open", now=NOON)
    alerts = [Alert("anomalies", str(number), "open", f"Number {number}") for number in range(20)]

    def work() -> None:
        own = Outbox(tmp_path)
        for alert in alerts:
            own.tell(alert.subject, {}, {"webhook": alert.body()}, event="open", now=NOON)
        deliver(settings, own, alert_secrets(hook), lambda: NOON)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(hook.requests), len(hook.taken), hook.repeated) == (20, 20, 0)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"minimun": 3}, "unknown setting 'minimun'"),
        ({"minimum": -1}, "least excess"),
        ({"minimum": "NaN"}, "least excess"),
        ({"detector": "magic"}, "choose default, rule or both"),
        ({"quiet_hours": "10pm"}, "22:00-07:00"),
        ({"quiet_days": ["Sunday"]}, '["Sat", "Sun"]'),
        ({"base_url": "costs.example.com"}, "https://costs.example.com"),
        ({"channel": [{"kind": "pager"}]}, "choose slack, webhook or email"),
        ({"channel": [{"kind": "slack"}]}, "SLACK_WEBHOOK_URL"),
        ({"channel": [{"kind": "slack", "url_env": "https://hooks.example.com/T1"}]}, "not the secret itself"),
        ({"channel": [{"kind": "slack", "url": "https://hooks.example.com/T1"}]}, "unknown setting 'url'"),
        ({"channel": [WEBHOOK, WEBHOOK]}, "two channels are called 'webhook'"),
        ({"channel": [{**WEBHOOK, "about": ["weather"]}]}, "anomalies, budgets, sources, plans"),
        ({"channel": [{"kind": "email", "host": "h", "from": "a@b.c", "to": "d@e.f"}]}, "who is told"),
        (
            {"channel": [{"kind": "email", "host": "h", "from": "a@b.c", "to": ["d@e.f"], "security": "none", "user_env": "U", "password_env": "P"}]},
            "no password is sent",
        ),
    ],
    ids=range(15),
)  # fmt: skip
def test_settings_that_cannot_be_used_are_told_in_a_sentence(section: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as raised:
        read_alert_settings(section, "percall.toml")
    assert words in str(raised.value)


def _configured(folder: Path) -> Path:
    config = folder / "percall.toml"
    config.write_text('[alerts]\n[[alerts.channel]]\nkind = "slack"\nurl_env = "HOOK_URL"\nabout = ["anomalies"]\n')
    return config


def test_the_command_prints_sends_and_keeps_the_address_to_itself(
    spiked: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _configured(spiked.parent)
    monkeypatch.setenv("HOOK_URL", hook.url)
    dry = percall("alert", "--dry-run", store=spiked, config=config)
    assert dry.code == 1
    assert b"$40" in dry.out
    assert not hook.requests
    hook.failures, hook.faults = 1.0, ("500",)
    failed = percall("alert", store=spiked, config=config)
    assert failed.code == 2
    hook.failures = 0.0
    later = Outbox(spiked)
    assert [message.state for message in later.messages()] == [PENDING]
    assert deliver(
        read_alert_settings(read_configuration(config).alerts), later, Secrets(), lambda: datetime.now(UTC) + timedelta(hours=1)
    ).sent == 1  # fmt: skip
    quiet = percall("alert", store=spiked, config=config)
    assert (quiet.code, quiet.out) == (0, b"")
    everything = dry.out + dry.err.encode() + failed.out + failed.err.encode() + (spiked / "state.sqlite").read_bytes()
    assert b"secret-path-42" not in everything


def test_the_command_without_a_channel_says_what_to_write(spiked: Path) -> None:
    answer = percall("alert", store=spiked)
    assert answer.code == 2
    assert "[[alerts.channel]]" in answer.err
    assert percall("alert", "--dry-run", store=spiked).code == 1


def test_killed_while_it_waits_for_a_receiver_it_loses_nothing(spiked: Path, hook: Webhook) -> None:
    """A real process is killed between the claim and the answer; another one sends what it left."""
    config = _configured(spiked.parent)
    program = (
        "import sys, os, signal\n"
        "import operations.alerting.channels as channels\n"
        "channels.httpx.post = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from operations.cli import main\n"
        f"sys.argv = ['percall', '--store', {str(spiked)!r}, '--config', {str(config)!r}, 'alert']\n"
        "main()\n"
    )
    process = subprocess.run([sys.executable, "-c", program], env={"HOOK_URL": hook.url, "PATH": ""}, check=False)
    assert process.returncode == -9
    settings = read_alert_settings(read_configuration(config).alerts)
    later = datetime.now(UTC) + CLAIM + timedelta(minutes=1)
    assert deliver(settings, Outbox(spiked), alert_secrets(hook), lambda: later).sent == 1
    assert [message.state for message in Outbox(spiked).messages()] == [SENT]

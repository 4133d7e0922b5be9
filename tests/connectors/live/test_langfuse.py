"""Live Langfuse: its real client against a server whose answers are checked against Langfuse's own schemas, loaded into a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import langfuse_export
from connectors.live import langfuse
from connectors.live.source import Window
from tests.connectors.extracted import DATA, extracted
from tests.connectors.live.langfuse_source import NOW, make_pull, make_sync
from tests.connectors.live.loopback import Asked, Loopback, Reply, loopback
from tests.connectors.live.pulled import Pull
from tests.connectors.live.stored import Sync, rows, settings_of
from tests.fakes.langfuse_server import PUBLIC, SECRET, LangfuseServer, export_rows, observation, score, validator
from warehouse.errors import InputError
from warehouse.schema import TOKEN_CLASSES


@pytest.fixture
def server() -> LangfuseServer:
    return LangfuseServer()


@pytest.fixture
def service(server: LangfuseServer) -> Iterator[Loopback]:
    with loopback(server.answer) as running:
        yield running


@pytest.fixture
def sync(service: Loopback, tmp_path: Path) -> Sync:
    return make_sync(service, tmp_path)


@pytest.fixture
def pull(service: Loopback, tmp_path: Path) -> Pull:
    return make_pull(service, tmp_path)


def asked_for(service: Loopback, path: str) -> list[Asked]:
    return [request for request in service.asked if request.path == path]


OBSERVATIONS, SCORES = "/api/public/v2/observations", "/api/public/v3/scores"


def test_the_calls_of_the_api_are_those_of_the_export(server: LangfuseServer, service: Loopback, sync: Sync) -> None:
    server.observations = export_rows()
    sync.run(NOW)
    calls = {dict(row["labels"])["observation_id"]: row for row in rows(sync.store, "calls")}
    assert len(calls) == 18  # 19 observations, one of them a plain span
    costs = [row["reported_cost"] for row in calls.values() if isinstance(row["reported_cost"], Decimal)]
    assert sum(costs) == Decimal("0.08212694")
    answer = calls["27e8651812c9bfd0"]
    assert [answer[name] for name in TOKEN_CLASSES] == [86, 1920, 0, 0, 108, 192, 0, 0]
    # the project of a gateway's calls stands in a metadata value of more than 200 characters alone
    from_export = export_calls(sync.folder)
    named = (
        "project",
        "feature",
        "team",
        "env",
        "user_tier",
        *TOKEN_CLASSES,
        "call_id",
        "model_raw",
        "operation",
        "status",
        "reported_cost",
    )
    for name, row in calls.items():
        assert {key: _known(row[key]) for key in named} == {key: from_export[name][key] for key in named}
    assert sum(row["project"] == "assistant" for row in from_export.values()) > 10
    for request in asked_for(service, OBSERVATIONS):
        assert "io" not in (request.one("fields") or "io").split(",")


def export_calls(scratch: Path) -> dict[str, dict[str, Any]]:
    """The same observations as the file export has them, by observation."""
    found, _ = extracted(langfuse_export, DATA / "langfuse" / "blob_observations_v2.parquet", scratch)
    return {row["labels"]["observation_id"]: row for row in found}


def _known(value: Any) -> Any:
    """A value of a frame, NaN as None."""
    return None if value is None or value != value else value


def test_nothing_that_people_wrote_is_fetched_or_stored(server: LangfuseServer, sync: Sync) -> None:
    server.observations = [observation("a", "2026-11-23T10:00:00.000Z")]
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 1
    held = [path for folder in (sync.folder, sync.store) for path in folder.rglob("*") if path.is_file()]
    assert held
    for path in held:
        content = path.read_bytes()
        for secret in (b"what people wrote", b"what the model answered", SECRET.encode(), PUBLIC.encode()):
            assert secret not in content, path


def test_pages_windows_and_a_second_sync(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    begin = datetime(2026, 11, 23, 9)
    server.observations = [
        observation(f"o{n:04}", (begin + timedelta(seconds=40 * n)).isoformat() + ".000Z") for n in range(2000)
    ]
    pull = make_pull(service, tmp_path, page_size=300, history_days=1, reread_days=0.9)
    pull.run(NOW)
    assert len(pull.batches) == 1
    assert len(pull.rows) == 2000
    assert sum(Decimal(row["total_cost"]) for row in pull.rows.values()) == Decimal("0.00045") * 2000
    # an observation that came late, one that was finished since, and one from before the days that are read again
    server.observations += [
        observation("late", "2026-11-23T12:00:00.500Z"),
        observation("too-old", "2026-11-20T00:00:00.000Z"),
    ]
    server.observations[1999] |= {"userId": "user-7"}
    pull.run(NOW + timedelta(hours=1))
    assert pull.position["read_until"] == "2026-11-24T10:00:00"
    assert len(pull.rows) == 2001
    assert pull.rows["o1999"]["user_id"] == "user-7"
    assert (
        min(request.one("fromStartTime") for request in service.asked[-6:] if request.path == OBSERVATIONS)
        >= "2026-11-23T11:00:00"
    )  # type: ignore[type-var,operator]
    pull.run(NOW + timedelta(hours=1), since=datetime(2026, 11, 20))
    assert len(pull.rows) == 2002


def test_a_busy_window_is_read_in_shorter_ones(
    server: LangfuseServer, service: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(langfuse, "MOST_PAGES", 4)
    begin = datetime(2026, 11, 24, 8)
    server.observations = [
        observation(f"o{n:03}", (begin + timedelta(seconds=10 * n)).isoformat() + ".000Z") for n in range(300)
    ]
    pull = make_pull(service, tmp_path, page_size=25, history_days=0.5)
    pull.run(NOW)
    assert len(pull.batches) >= 3
    assert len(pull.rows) == 300
    edges = [batch.what for batch in pull.batches]
    assert [edge.split(" to ")[1] for edge in edges[:-1]] == [edge.split(" to ")[0] for edge in edges[1:]]


def test_a_wrapper_and_its_call_on_both_sides_of_an_edge_count_once(server: LangfuseServer, sync: Sync) -> None:
    usage = {"input": 100, "output": 20, "total": 120}
    server.observations = [
        observation("wrapper", "2026-11-22T08:59:59.900Z", type="AGENT", traceId="t", usageDetails=usage),
        observation("call", "2026-11-22T09:00:00.100Z", traceId="t", parentObservationId="wrapper", usageDetails=usage),
    ]
    sync.run(NOW)
    assert [row["call_id"] for row in rows(sync.store, "calls")] == ["call"]


def test_scores_count_once_per_trace_and_may_come_late(server: LangfuseServer, sync: Sync) -> None:
    server.observations = [observation(f"o{n}", f"2026-11-23T10:00:0{n}.000Z", traceId="chat") for n in range(3)] + [
        observation("alone", "2026-11-23T11:00:00.000Z")
    ]
    server.scores = [
        score("s1", "2026-11-23T10:05:00Z", "revenue_usd", 1.25, kind="trace", id="chat"),
        score("s2", "2026-11-23T10:05:01Z", "converted", True, kind="trace", id="chat"),
        score("s3", "2026-11-23T11:05:00Z", "converted", False, kind="observation", id="alone", traceId="trace-alone"),
        score("s4", "2026-11-23T11:06:00Z", "converted", True, kind="experiment", id="run-1"),
        score("s5", "2026-11-23T11:06:00Z", "helpfulness", 0.7, kind="trace", id="chat"),
    ]
    sync.run(NOW)
    stored = {row["call_id"]: row for row in rows(sync.store, "calls")}
    assert {
        name: row["revenue"]
        for name, row in stored.items()
        if row["revenue"] is not None and row["revenue"] == row["revenue"]
    } == {"o0": Decimal("1.25")}
    assert {name: bool(row["converted"]) for name, row in stored.items() if row["converted"] in (True, False)} == {
        "o0": True,
        "alone": False,
    }
    server.scores.append(
        score("s6", "2026-11-24T09:30:00Z", "revenue_usd", 2, kind="observation", id="o2", traceId="chat")
    )
    sync.run(NOW + timedelta(hours=2))
    revenue = [row["revenue"] for row in rows(sync.store, "calls") if isinstance(row["revenue"], Decimal)]
    assert sorted(revenue) == [Decimal("1.25"), Decimal(2)]


def test_scores_of_other_names_are_mapped(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    server.observations = [observation("a", "2026-11-23T10:00:00.000Z")]
    server.scores = [
        score("s", "2026-11-23T10:05:00Z", "order_value", 3.5, kind="observation", id="a", traceId="trace-a")
    ]
    sync = make_sync(service, tmp_path, scores={"order_value": "revenue_usd"})
    sync.run(NOW)
    assert [row["revenue"] for row in rows(sync.store, "calls")] == [Decimal("3.5")]
    with pytest.raises(InputError, match="converted or revenue_usd, not 'money'"):
        make_sync(service, tmp_path, scores={"order_value": "money"}).run(NOW)


def test_metadata_that_newer_clients_encode_is_decoded(server: LangfuseServer, sync: Sync) -> None:
    nested = json.dumps({"spend_logs_metadata": {"feature": "search"}, "padding": "x" * 300})
    server.observations = [
        observation("a", "2026-11-23T10:00:00.000Z", metadata={"feature": '"summarize"', "team": '"ai"'}),
        observation("b", "2026-11-23T10:00:01.000Z", metadata={"requester_metadata": json.dumps(nested)}),
    ]
    sync.run(NOW)
    assert {row["call_id"]: row["feature"] for row in rows(sync.store, "calls")} == {"a": "summarize", "b": "search"}


def test_new_and_missing_fields(server: LangfuseServer, sync: Sync) -> None:
    server.observations = [observation(name, "2026-11-23T10:00:00.000Z") for name in ("a", "b", "c")]

    def drifted(item: dict[str, Any]) -> dict[str, Any]:
        item["toolCalls"] = [{"name": "search"}]
        if item["id"] == "b":
            del item["startTime"]
        if item["id"] == "c":
            item.pop("latency", None)
            item.pop("modelId", None)
        return item

    server.drift = drifted
    reports = sync.run(NOW)
    assert sorted(row["call_id"] for row in rows(sync.store, "calls")) == ["a", "c"]
    assert sum(report.rows_rejected for report in reports) == 1
    rejected = rows(sync.store, "rejects")
    assert [(row["column_name"] if "column_name" in row else row["column"], row["reason"]) for row in rejected] == [
        ("start_time", "the start time is missing")
    ]


def test_the_first_api_of_older_servers(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    server.legacy = True
    server.observations = [
        observation(
            "a", "2026-11-23T10:00:00.000Z", traceId="t", metadata={"team": "ai"}, costDetails={"total": 0.00045}
        ),
        observation("b", "2026-11-23T10:00:01.000Z", traceId="t", parentObservationId="a"),
        *(observation(f"c{n:03}", f"2026-11-23T11:{n // 60:02}:{n % 60:02}.000Z") for n in range(250)),
    ]
    server.traces = [
        {
            "id": "t", "timestamp": "2026-11-23T09:59:00.000Z", "name": "chat", "userId": "user-1", "sessionId": "s-1", "tags": ["feature:search"],
            "environment": "production", "metadata": {"user_tier": "pro", "team": "other"}, "public": False, "release": None, "version": None,
            "input": "what people wrote", "output": "x",
        }
    ]  # fmt: skip
    server.scores = [
        score("s1", "2026-11-23T10:05:00Z", "revenue_usd", 1.25, kind="trace", id="t"),
        score("s2", "2026-11-23T10:05:00Z", "converted", True, kind="observation", id="c000", traceId="trace-c000"),
    ]
    sync = make_sync(service, tmp_path)
    sync.run(NOW)
    stored = {row["call_id"]: row for row in rows(sync.store, "calls")}
    assert len(stored) == 251  # `a` wraps `b`: the same tokens
    told = stored["b"]
    names = ("user_id", "session_id", "feature", "user_tier", "team", "env", "revenue")
    assert [told[name] for name in names] == ["user-1", "s-1", "search", "pro", "other", "production", Decimal("1.25")]
    assert bool(stored["c000"]["converted"]) is True
    assert sum(row["reported_cost"] for row in stored.values()) == Decimal("0.00045") * 251
    for path in (*sync.folder.rglob("*"), *sync.store.rglob("*")):
        assert not path.is_file() or b"what people wrote" not in path.read_bytes()


def test_only_the_named_environments(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    server.observations = [
        observation(name, "2026-11-23T10:00:00.000Z", environment=name) for name in ("production", "staging")
    ]
    pull = make_pull(service, tmp_path, environments=["production"])
    pull.run(NOW)
    assert list(pull.rows) == ["production"]


def test_check_and_plan_say_what_is(server: LangfuseServer, service: Loopback, tmp_path: Path) -> None:
    settings = make_sync(service, tmp_path).settings
    assert [finding.level for finding in langfuse.check(settings)] == ["warning"]  # nothing of the last two days
    server.observations = [
        observation("a", datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z")
    ]
    (fine,) = langfuse.check(settings)
    assert fine.level == "fine"
    assert "API v2" in fine.message
    wrong = settings_of(
        "langfuse", {"A": "pk", "B": "sk-wrong"}, host=service.url, public_key_env="A", secret_key_env="B"
    )
    (problem,) = langfuse.check(wrong)
    assert problem.level == "problem"
    assert "sk-wrong" not in problem.message + problem.remedy
    with loopback(lambda _asked: Reply({"message": "nothing here"}, 404)) as other:
        (nowhere,) = langfuse.check(make_sync(other, tmp_path).settings)
        assert "is the address right?" in nowhere.message
    before = len(service.asked)
    (planned,) = langfuse.plan(settings, {}, Window(NOW))
    assert planned.partition == "2026-11-21 09:00 to 2026-11-24 09:00 UTC"
    (planned,) = langfuse.plan(settings, {"read_until": "2026-11-24T06:00:00"}, Window(NOW))
    assert planned.partition == "2026-11-22 06:00 to 2026-11-24 09:00 UTC"
    assert len(service.asked) == before
    assert "LF_SECRET" in langfuse.permissions(settings)


def test_the_answers_of_the_server_fit_the_published_schema() -> None:
    """The checks of the stand-in can fail: an observation without its start does not pass."""
    good = {"data": [], "meta": {}}
    validator("ObservationsV2Response").validate(good)
    item = {key: value for key, value in observation("a", "2026-11-23T10:00:00.000Z").items() if key != "startTime"}
    assert not validator("ObservationsV2Response").is_valid(good | {"data": [item]})

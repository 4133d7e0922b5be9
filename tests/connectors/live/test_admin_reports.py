"""Cost and usage reports of OpenAI and Anthropic: paging, months that replace themselves, faults, and the key that is never shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.live import anthropic_admin, openai_admin
from connectors.live.source import Window
from tests.connectors.live.loopback import Asked, Loopback, Reply, loopback
from tests.connectors.live.stored import Sync, rows, settings_of, total
from warehouse.errors import SourceError

D = Decimal
KEY = "sk-admin-very-secret"
NOW = datetime(2026, 5, 20, 12)


class OpenAI:
    """The organization's endpoints: a bucket for each day, as many to a page as asked for; half of what the limit says are given."""

    def __init__(self) -> None:
        self.costs: dict[str, list[dict[str, Any]]] = {}
        self.usage: dict[str, list[dict[str, Any]]] = {}
        self.faults: list[Reply] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(
                {"error": {"message": f"Incorrect API key provided: {asked.headers.get('authorization')}"}}, 401
            )
        if self.faults:
            return self.faults.pop(0)
        kinds = {
            "/v1/organization/costs": (self.costs, {"project_id", "line_item"}),
            "/v1/organization/usage/completions": (self.usage, {"model", "project_id", "api_key_id", "batch", "service_tier"}),
            "/v1/organization/usage/embeddings": ({}, {"model", "project_id", "api_key_id"}),
        }  # fmt: skip
        held, groups = kinds[asked.path]
        assert set(asked.parameters["group_by"]) == groups
        assert asked.one("bucket_width") == "1d"
        assert 1 <= int(asked.one("limit") or 7) <= 31
        day = datetime.fromtimestamp(int(asked.one("page") or asked.one("start_time") or 0), UTC).replace(tzinfo=None)
        end = datetime.fromtimestamp(int(asked.one("end_time") or 0), UTC).replace(tzinfo=None)
        buckets = []
        while day < end and len(buckets) < 16:
            stamp = int(day.replace(tzinfo=UTC).timestamp())
            period = {"object": "bucket", "start_time": stamp, "end_time": stamp + 86_400}
            buckets.append(period | {"results": held.get(f"{day:%Y-%m-%d}", [])})
            day += timedelta(days=1)
        more = day < end
        cursor = str(int(day.replace(tzinfo=UTC).timestamp())) if more else None
        return Reply({"object": "page", "data": buckets, "has_more": more, "next_page": cursor})


def cost(value: Any, item: str = "gpt-4o-2024-08-06, input") -> dict[str, Any]:
    amount = {"value": value, "currency": "usd"}
    return {"object": "organization.costs.result", "amount": amount, "line_item": item, "project_id": "proj_1"}


def used(tokens: int) -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result", "model": "gpt-4o-2024-08-06", "project_id": "proj_1", "api_key_id": "key_1",
        "batch": False, "input_tokens": tokens, "output_tokens": 5, "input_cached_tokens": 2, "num_model_requests": 1,
    }  # fmt: skip


@contextmanager
def syncing(
    kind: str, answer: Callable[[Asked], Reply], tmp_path: Path, key: str = KEY, **options: Any
) -> Iterator[tuple[Sync, Loopback]]:
    with loopback(answer) as service:
        host = f"{service.url}/v1" if kind == "openai-admin" else service.url
        settings = settings_of(kind, {"ADMIN_KEY": key}, key_env="ADMIN_KEY", host=host, **options)
        yield Sync(tmp_path / "store", settings, tmp_path / "fetched"), service


def test_openai_months_through_their_pages(tmp_path: Path) -> None:
    api = OpenAI()
    api.costs = {
        "2026-04-02": [cost("0.1")],
        "2026-04-30": [cost(0.2), cost("-0.05", "credit")],
        "2026-05-18": [cost(1.5)],
    }
    api.usage = {"2026-04-30": [used(10)]}
    with syncing("openai-admin", api, tmp_path, history_days=40) as (sync, _service):
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("1.75")
        assert [batch.what for batch in sync.batches] == ["2026-04", "2026-05"]
        tokens = [row for row in rows(sync.store, "charges") if row["x_Excluded"]]
        assert sum(row["ConsumedQuantity"] for row in tokens) == 15
        assert {row["x_Model"] for row in rows(sync.store, "charges") if row["x_TokenDirection"]} == {"gpt-4o"}
        # A day that still grew, and one more: May is read again as a whole, April is not.
        api.costs["2026-05-18"] = [cost(2)]
        api.costs["2026-05-21"] = [cost(3)]
        sync.run(datetime(2026, 5, 21, 12))
        assert [batch.what for batch in sync.batches] == ["2026-05"]
        assert total(sync.store, "charges", "BilledCost") == D("5.25")
        sync.run(datetime(2026, 5, 21, 13))
        assert total(sync.store, "charges", "BilledCost") == D("5.25")


def test_the_first_days_of_a_month_read_the_last_one_again(tmp_path: Path) -> None:
    api = OpenAI()
    api.costs = {"2026-05-30": [cost(1)]}
    with syncing("openai-admin", api, tmp_path, history_days=5) as (sync, _service):
        sync.run(datetime(2026, 5, 31, 12))
        api.costs["2026-05-31"] = [cost(4)]
        sync.run(datetime(2026, 6, 2, 12))
        assert total(sync.store, "charges", "BilledCost") == D(5)


def test_digits_are_kept_as_they_were_sent(tmp_path: Path) -> None:
    api = OpenAI()
    api.costs = {"2026-05-18": [cost("0.123456789012"), cost("12345678901234.000000000001")]}
    with syncing("openai-admin", api, tmp_path, history_days=1) as (sync, _service):
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("12345678901234.123456789013")


def test_faults_that_pass_and_a_key_that_does_not(tmp_path: Path) -> None:
    api = OpenAI()
    api.costs = {"2026-05-18": [cost(1)]}
    whole = {"object": "page", "data": [], "has_more": False, "next_page": None}
    api.faults = [Reply({}, 429, {"Retry-After": "0"}), Reply(whole, cut=20), Reply(b'{"data": [', 200)]
    with syncing("openai-admin", api, tmp_path, history_days=1) as (sync, service):
        with pytest.raises(SourceError, match="did not answer with JSON") as caught:
            sync.run(NOW)
        assert caught.value.retry
        assert len(service.asked) == 3
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D(1)
    with syncing("openai-admin", api, tmp_path, key="sk-admin-expired-key") as (sync, _service):
        with pytest.raises(SourceError, match="Usage: Read") as caught:
            sync.run(NOW)
        assert not caught.value.retry
        assert "expired-key" not in str(caught.value)
        findings = list(openai_admin.check(sync.settings))
        assert {finding.level for finding in findings} == {"problem"}
        assert "expired-key" not in "".join(finding.message for finding in findings)


def test_pages_that_never_end_are_left(tmp_path: Path) -> None:
    def circle(asked: Asked) -> Reply:
        return Reply({"data": [{"start_time": 1, "results": []}], "has_more": True, "next_page": "same"})

    with (
        syncing("openai-admin", circle, tmp_path, history_days=1) as (sync, _service),
        pytest.raises(SourceError, match="have no end"),
    ):
        sync.run(NOW)


class Anthropic:
    """The organization's reports: at most 31 days to a page, amounts in cents as text."""

    def __init__(self, organization: str = "org-1") -> None:
        self.organization = organization
        self.costs: dict[str, list[dict[str, Any]]] = {}

    def __call__(self, asked: Asked) -> Reply:
        assert asked.headers["anthropic-version"] == "2023-06-01"
        if asked.headers.get("x-api-key") != KEY:
            return Reply(
                {"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, 401
            )
        if asked.path == "/v1/organizations/me":
            return Reply({"id": self.organization, "type": "organization", "name": "Example"})
        costs = asked.path == "/v1/organizations/cost_report"
        assert costs or asked.path == "/v1/organizations/usage_report/messages"
        groups = (
            {"workspace_id", "description"}
            if costs
            else {"model", "workspace_id", "api_key_id", "service_tier", "context_window"}
        )
        assert set(asked.parameters["group_by[]"]) == groups
        day = datetime.fromisoformat(asked.one("page") or asked.one("starting_at") or "").replace(tzinfo=None)
        end = datetime.fromisoformat(asked.one("ending_at") or "").replace(tzinfo=None)
        data = []
        while day < end and len(data) < 10:
            start, day = day, day + timedelta(days=1)
            results = self.costs.get(f"{start:%Y-%m-%d}", []) if costs else []
            data.append({"starting_at": f"{start:%Y-%m-%dT00:00:00Z}", "ending_at": f"{day:%Y-%m-%dT00:00:00Z}", "results": results})  # fmt: skip
        more = day < end
        return Reply({"data": data, "has_more": more, "next_page": f"{day:%Y-%m-%dT00:00:00+00:00}" if more else None})


def cents(amount: str) -> dict[str, Any]:
    return {
        "currency": "USD", "amount": amount, "workspace_id": None, "description": "Claude Sonnet 4.5 Usage - Input Tokens", "cost_type": "tokens",
        "context_window": "0-200k", "model": "claude-sonnet-4-5-20250929", "service_tier": "standard", "token_type": "uncached_input_tokens",
    }  # fmt: skip


def test_anthropic_costs_in_cents_through_their_pages(tmp_path: Path) -> None:
    api = Anthropic()
    api.costs = {"2026-04-29": [cents("123.45")], "2026-05-01": [cents("100")], "2026-05-19": [cents("0.000001")]}
    with syncing("anthropic-admin", api, tmp_path, history_days=25) as (sync, _service):
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("2.23450001")
        assert {row["x_Model"] for row in rows(sync.store, "charges")} == {"claude-sonnet-4-5"}
        sync.run(NOW)
        assert total(sync.store, "charges", "BilledCost") == D("2.23450001")
        assert {finding.level for finding in anthropic_admin.check(sync.settings)} == {"fine"}
        (costs, _usage) = anthropic_admin.plan(sync.settings, {}, Window(NOW))
        assert (costs.partition, costs.requests) == ("2026-04 to 2026-05", 2)


def test_two_organizations_with_the_same_lines_add_up(tmp_path: Path) -> None:
    one, other = Anthropic("org-1"), Anthropic("org-2")
    one.costs = other.costs = {"2026-05-18": [cents("100")]}
    for _round in range(2):
        for api in (one, other):
            with syncing("anthropic-admin", api, tmp_path, name=api.organization, history_days=1) as (sync, _service):
                sync.run(NOW)
    assert total(tmp_path / "store", "charges", "BilledCost") == D(2)
    assert {row["BillingAccountId"] for row in rows(tmp_path / "store", "charges")} == {"org-1", "org-2"}

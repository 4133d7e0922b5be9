"""Revenue from Stripe: net of tax, spread to the last digit, given back, paged, and read again without counting twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.live import stripe
from connectors.live.source import Window
from connectors.live.stripe_lines import net_of, shares
from tests.connectors.live.loopback import Asked, Reply, loopback
from tests.connectors.live.stored import Sync, rows, settings_of, total
from warehouse.errors import InputError, SourceError

D = Decimal
KEY = "rk_live_very_secret"
NOW = datetime(2026, 4, 10, 12)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def line(number: str, amount: int, start: str, end: str, **more: Any) -> dict[str, Any]:
    return {
        "id": number, "object": "line_item", "amount": amount, "currency": "usd", "discount_amounts": [], "tax_amounts": [],
        "period": {"start": at(start), "end": at(end)}, "metadata": {}, "price": {"metadata": {}},
    } | more  # fmt: skip


def invoice(number: str, created: str, *lines: dict[str, Any], status: str = "paid", **more: Any) -> dict[str, Any]:
    currency = lines[0]["currency"]
    base = {
        "id": number, "object": "invoice", "created": at(created), "status": status, "currency": currency, "metadata": {},
        "status_transitions": {"paid_at": at(created) + 3_600}, "total": sum(item["amount"] for item in lines),
        "total_excluding_tax": sum(net_of(item) for item in lines), "lines": {"object": "list", "data": list(lines), "has_more": False},
    }  # fmt: skip
    return base | more


class Stripe:
    """An account. Lists come newest first, three objects to a page; an invoice shows two of its lines, the rest is asked for."""

    def __init__(self, *invoices: dict[str, Any]) -> None:
        self.invoices = list(invoices)
        self.notes: list[dict[str, Any]] = []
        self.refunds: list[dict[str, Any]] = []
        self.faults: list[Reply] = []

    def __call__(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return Reply({"error": {"message": "Expired API Key provided: rk_live_*****cret"}}, 401)
        assert asked.headers["stripe-version"] == "2024-06-20"
        if self.faults:
            return self.faults.pop(0)
        parts = asked.path.removeprefix("/v1/").split("/")
        held = {"invoices": self.invoices, "credit_notes": self.notes, "refunds": self.refunds}[parts[0]]
        if len(parts) == 1:
            return self._page([self._short(item) for item in held], asked)
        (found,) = [item for item in held if item["id"] == parts[1]]
        return self._page(found["lines"]["data"], asked) if len(parts) == 3 else Reply(self._short(found))

    def _short(self, item: dict[str, Any]) -> dict[str, Any]:
        lines = item.get("lines", {}).get("data", [])
        return item | {"lines": {"data": lines[:2], "has_more": len(lines) > 2}} if len(lines) > 2 else item

    def _page(self, items: list[dict[str, Any]], asked: Asked) -> Reply:
        assert 1 <= int(asked.one("limit") or 10) <= 100
        if since := asked.one("created[gte]"):
            items = [item for item in items if int(since) <= item["created"] < int(asked.one("created[lt]") or 0)]
        if of_invoice := asked.one("invoice"):
            items = [item for item in items if item["invoice"] == of_invoice]
        items = sorted(items, key=lambda item: -item.get("created", 0))
        if after := asked.one("starting_after"):
            items = items[[item["id"] for item in items].index(after) + 1 :]
        return Reply({"object": "list", "data": items[:3], "has_more": len(items) > 3})


@contextmanager
def syncing(api: Stripe, tmp_path: Path, key: str = KEY, **options: Any) -> Iterator[Sync]:
    with loopback(api) as service:
        settings = settings_of("stripe", {"STRIPE_KEY": key}, key_env="STRIPE_KEY", host=service.url, **options)
        yield Sync(tmp_path / "store", settings, tmp_path / "fetched")


def by_month(store: Path) -> dict[str, Decimal]:
    months: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows(store, "revenue"):
        months[f"{row['date']:%Y-%m}"] += row["amount"]
    return {month: amount for month, amount in sorted(months.items()) if amount}


def test_an_annual_plan_is_earned_evenly_and_adds_up(tmp_path: Path) -> None:
    api = Stripe(invoice("in_1", "2026-01-01T10:00", line("il_1", 36_500, "2026-01-01T10:00", "2027-01-01T10:00")))
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        months = by_month(sync.store)
        assert months["2026-01"] == 31
        assert months["2026-02"] == 28
        assert sum(months.values()) == 365
        assert len(months) == 12


def test_paid_counts_on_the_day_of_payment_in_the_given_zone(tmp_path: Path) -> None:
    paid = {"status_transitions": {"paid_at": at("2026-03-31T20:00")}}
    api = Stripe(invoice("in_1", "2026-03-31T10:00", line("il_1", 1_000, "2026-03-01", "2026-04-01"), **paid))
    with syncing(api, tmp_path, recognise="paid", time_zone="Asia/Ho_Chi_Minh") as sync:
        sync.run(NOW)
        assert [(row["date"].isoformat()[:10], row["amount"]) for row in rows(sync.store, "revenue")] == [
            ("2026-04-01", D(10))
        ]


def test_net_of_tax_and_discounts_by_feature_and_tier(tmp_path: Path) -> None:
    taxed = line(
        "il_1", 12_000, "2026-03-01", "2026-03-02",
        discount_amounts=[{"amount": 2_000}], tax_amounts=[{"amount": 1_667, "inclusive": True}, {"amount": 500, "inclusive": False}],
        metadata={"feature": "search", "user_id": "u-1"},
    )  # fmt: skip
    priced = line("il_2", 500, "2026-03-01", "2026-03-02", price={"metadata": {"feature": "chat"}})
    api = Stripe(invoice("in_1", "2026-03-01", taxed, priced, metadata={"user_tier": "pro", "feature": "other"}))
    with syncing(api, tmp_path, user_key="user_id") as sync:
        sync.run(NOW)
        found = {
            (row["feature"], row["user_tier"], row["user_id"]): row["amount"] for row in rows(sync.store, "revenue")
        }
        assert found == {("search", "pro", "u-1"): D("83.33"), ("chat", "pro", None): D(5)}
        assert sync.batches[-2].notes == ()


@pytest.mark.parametrize(
    ("currency", "amount", "earned"),
    [("jpy", 1_200, "1200"), ("kwd", 1_250, "1.250"), ("usd", 1_250, "12.50"), ("isk", 1_200, "12")],
)
def test_smallest_units_of_currencies(tmp_path: Path, currency: str, amount: int, earned: str) -> None:
    api = Stripe(invoice("in_1", "2026-03-01", line("il_1", amount, "2026-03-01", "2026-03-08", currency=currency)))
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "revenue", "amount") == D(earned)
        assert {row["currency"] for row in rows(sync.store, "revenue")} == {currency.upper()}


def test_only_paid_invoices_count_and_unsettled_months_are_read_until_they_are(tmp_path: Path) -> None:
    late = invoice("in_1", "2025-11-05", line("il_1", 1_000, "2025-11-05", "2025-11-05"), status="open")
    api = Stripe(
        late,
        *(invoice(f"in_{n}", "2026-03-05", line(f"il_{n}", 700, "2026-03-05", "2026-03-05")) for n in range(2, 9)),
        *(invoice(f"in_{s}", "2026-03-06", line(f"il_{s}", 99, "2026-03-06", "2026-03-06"), status=s) for s in ("void", "draft", "uncollectible")),
    )  # fmt: skip
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        assert by_month(sync.store) == {"2026-03": D(49)}
        assert sync.position["open"] == ["2025-11", "2026-03"]
        late["status"] = "paid"
        sync.run(NOW)
        assert [batch.what for batch in sync.batches] == ["2025-11", "2026-03", "2026-04"]
        assert by_month(sync.store) == {"2025-11": D(10), "2026-03": D(49)}
        assert sync.position["open"] == ["2026-03"]


def test_lines_beyond_the_first_page_of_an_invoice(tmp_path: Path) -> None:
    many = [line(f"il_{n}", 100, "2026-03-05", "2026-03-05") for n in range(10)]
    with syncing(Stripe(invoice("in_1", "2026-03-05", *many)), tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "revenue", "amount") == D(10)


def test_a_credit_note_takes_from_the_days_that_it_credits_but_never_from_the_past(tmp_path: Path) -> None:
    api = Stripe(
        invoice("in_1", "2026-03-01", line("il_1", 3_100, "2026-03-01", "2026-04-01", metadata={"feature": "search"}))
    )
    api.notes = [
        {
            "id": "cn_1", "object": "credit_note", "created": at("2026-03-11"), "status": "issued", "invoice": "in_1", "currency": "usd",
            "refund": "re_1", "lines": {"data": [{"id": "cnli_1", "amount": 3_100, "invoice_line_item": "il_1"}], "has_more": False},
        }
    ]  # fmt: skip
    # The refund that pays the credit note out must not count a second time.
    api.refunds = [
        {
            "id": "re_1",
            "created": at("2026-03-11"),
            "amount": 3_100,
            "status": "succeeded",
            "charge": {"invoice": "in_1"},
        }
    ]
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        days: dict[date, Decimal] = defaultdict(Decimal)
        for row in rows(sync.store, "revenue"):
            days[row["date"].date() if isinstance(row["date"], datetime) else row["date"]] += row["amount"]
            assert row["feature"] == "search"
        assert sum(days.values()) == 0
        assert days[date(2026, 3, 5)] == 1
        assert days[date(2026, 3, 11)] == -10
        assert days[date(2026, 3, 20)] == 0
        api.notes[0]["status"] = "void"
        api.refunds = []
        sync.run(NOW)
        assert total(sync.store, "revenue", "amount") == 31


def test_a_refund_without_a_credit_note_takes_its_share_without_tax(tmp_path: Path) -> None:
    plan = line("il_1", 1_200, "2026-03-05", "2026-03-05", tax_amounts=[{"amount": 200, "inclusive": True}])
    api = Stripe(invoice("in_1", "2026-03-05", plan))
    api.refunds = [
        {"id": "re_1", "created": at("2026-03-20"), "amount": 600, "status": "succeeded", "charge": {"invoice": "in_1"}},
        {"id": "re_2", "created": at("2026-03-20"), "amount": 300, "status": "failed", "charge": {"invoice": "in_1"}},
        {"id": "re_3", "created": at("2026-03-20"), "amount": 900, "status": "succeeded", "charge": {"invoice": None}},
    ]  # fmt: skip
    with syncing(api, tmp_path) as sync:
        sync.run(NOW)
        assert total(sync.store, "revenue", "amount") == 5
        assert "1 refunds are of payments without an invoice" in "".join(
            note for batch in sync.batches for note in batch.notes
        )


def test_killed_and_run_again_nothing_is_counted_twice(tmp_path: Path) -> None:
    api = Stripe(
        *(
            invoice(f"in_{n}", f"2026-0{n}-03", line(f"il_{n}", 3_000, f"2026-0{n}-03", f"2026-0{n + 1}-02"))
            for n in (1, 2, 3)
        )
    )
    with syncing(api, tmp_path, history_days=95) as sync:
        sync.run(NOW, most=2)
        sync.run(NOW)
        assert total(sync.store, "revenue", "amount") == 90
        sync.run(NOW, since=datetime(2026, 1, 1))
        assert total(sync.store, "revenue", "amount") == 90


def test_faults(tmp_path: Path) -> None:
    api = Stripe(invoice("in_1", "2026-03-05", line("il_1", 1_000, "2026-03-05", "2026-03-05")))
    api.faults = [
        Reply({"error": {"message": "slow down"}}, 429, {"Retry-After": "0"}),
        Reply({"object": "list", "data": []}, cut=5),
    ]
    with syncing(api, tmp_path, history_days=40) as sync:
        sync.run(NOW)
        assert total(sync.store, "revenue", "amount") == 10
        api.faults = [Reply({"error": {"message": "no permission for charges"}}, 403)]
        with pytest.raises(SourceError, match="Read on Invoices"):
            sync.run(NOW)
        api.faults = [Reply({"unexpected": 1})]
        with pytest.raises(SourceError, match="a form that is not known"):
            sync.run(NOW)
        assert {finding.level for finding in stripe.check(sync.settings)} == {"fine"}
        assert [item.partition for item in stripe.plan(sync.settings, {}, Window(NOW))] == ["2026-03", "2026-04"]
    with syncing(api, tmp_path, key="rk_live_old_and_gone") as sync:
        assert {finding.level for finding in stripe.check(sync.settings)} == {"problem"}
        with pytest.raises(InputError, match="no time zone"), syncing(api, tmp_path, time_zone="Mars/Base") as wrong:
            wrong.run(NOW)


@given(st.integers(-(10**15), 10**15), st.lists(st.integers(0, 10**9), min_size=1, max_size=50))
def test_shares_add_up_and_are_fair(whole: int, weights: list[int]) -> None:
    parts = shares(whole, weights)
    assert sum(parts) == whole
    for weight, part in zip(weights, parts, strict=True):
        exact = whole * weight / sum(weights) if sum(weights) else whole / len(weights)
        assert abs(part - exact) <= 1 + abs(whole) * 1e-12

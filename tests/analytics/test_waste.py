"""Waste: each kind in a few calls whose avoidable dollars can be added up by hand; nothing in clean data; the demo company's story."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.waste import waste, waste_evidence, waste_report, waste_summary
from tests.analytics.facts import call, charge, moment, warehouse_of
from warehouse.errors import InputError
from warehouse.reader import Warehouse

D = Decimal
MAY = Filters(date(2026, 5, 1), date(2026, 5, 31))
BIG, SMALL = "big", "big-mini"
PRICE_ID = "contract/openai/{}/standard/0@1970-01-01"
AMOUNTS = {BIG: (D(5), D(15)), SMALL: (D("0.15"), D("0.60"))}
"""USD per million input and output tokens."""


def price(model: str, token_class: str, amount: Decimal) -> dict[str, Any]:
    return {
        "book": "contract", "provider": "openai", "model": model, "token_class": token_class, "processing": "standard",
        "context_from": 0, "amount": amount, "currency": "USD", "valid_from": datetime(1970, 1, 1),
        "valid_to": datetime(9999, 12, 31), "source": "test",
    }  # fmt: skip


def prices(*more: dict[str, Any]) -> list[dict[str, Any]]:
    known = [
        price(model, kind, amount)
        for model, pair in AMOUNTS.items()
        for kind, amount in zip(("input", "output"), pair, strict=True)
    ]
    return [*known, *more]


def priced(day: int, number: int, inputs: int, output: int, **columns: Any) -> dict[str, Any]:
    """A call of a user of team ai on a day of May, `number` minutes after eight, at the list price of its model."""
    model = columns.pop("model", BIG)
    per_input, per_output = AMOUNTS[model]
    cost = (inputs * per_input + output * per_output) / 1_000_000
    start = moment("2026-05-01", "08:00") + timedelta(days=day - 1, minutes=number)
    return call("2026-05-01", str(cost)) | {
        "started_at": start, "model": model, "model_raw": model, "price_id": PRICE_ID.format(model), "team": "ai",
        "user_id": f"u{number}", "uncached_input_tokens": inputs, "output_tokens": output, **columns,
    }  # fmt: skip


def numbered(calls: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"call_id": f"k{number:05d}", **one} for number, one in enumerate(calls)]


def found(facts: Warehouse, filters: Filters = MAY) -> pd.DataFrame:
    return waste(facts, filters).set_index("kind")


def test_an_empty_store_wastes_nothing() -> None:
    facts = warehouse_of()
    assert waste(facts, MAY).empty
    assert waste_summary(facts, MAY).headline == "No waste found in May 2026"


def embedding(text: int) -> dict[str, Any]:
    return {"operation": "embeddings", "model": "e", "input_hash": f"h{text}", "feature": "docs", "team": "ai"}


def test_content_embedded_again_costs_all_but_the_first_time() -> None:
    """40 texts on three days at $0.10: the second and third day, 80 calls, were not needed."""
    calls = numbered(
        call(f"2026-05-0{day}", "0.10", clock=f"0{day}:{text:02d}", **embedding(text))
        for day in (1, 2, 3)
        for text in range(40)
    )  # fmt: skip
    row = found(warehouse_of(calls)).loc["embedded-again"]
    assert (row.waste, row.cost, row["items"], row.waste_per_month) == (
        D(8),
        D(12),
        120,
        (8 * D("30.4375") / 3).quantize(D("0.01")),
    )
    evidence = waste_evidence(warehouse_of(calls), MAY, "embedded-again", ("docs", None, "e"))
    assert (len(evidence), sum(evidence.waste)) == (120, D(8))
    new_model = [one | {"model": f"e{one['started_at'].day}"} for one in calls]
    assert waste(warehouse_of(new_model), MAY).empty


def test_content_that_was_embedded_before_the_period_is_no_news() -> None:
    calls = numbered(
        call(day, "0.10", clock=f"08:{text:02d}", **embedding(text))
        for day in ("2026-04-20", "2026-05-20")
        for text in range(40)
    )  # fmt: skip
    assert found(warehouse_of(calls)).loc["embedded-again"].waste == D(4)


def test_batches_without_hashes_that_are_the_same_every_day() -> None:
    """30 calls of 1,000 tokens each on four days: three of the four were not needed. Batches that differ are new content."""
    calls = numbered(
        call(f"2026-05-0{day}", "0.10", clock=f"03:{text:02d}", operation="embeddings", model="e", feature="docs", team="ai")
        for day in (1, 2, 3, 4)
        for text in range(30)
    )  # fmt: skip
    assert found(warehouse_of(calls)).loc["embedded-again"].waste == D(9)
    new = [one | {"uncached_input_tokens": 1000 + one["started_at"].day} for one in calls]
    assert waste(warehouse_of(new), MAY).empty


def nightly(**columns: Any) -> list[dict[str, Any]]:
    return numbered(
        call(f"2026-05-{day:02d}", "0.05", clock=f"02:{minute:02d}", **columns)
        for day in range(1, 11)
        for minute in range(0, 40, 4)
    )


def test_a_nightly_job_without_an_owner() -> None:
    row = found(warehouse_of(nightly(feature=None, prompt_name="tagger"))).loc["unowned-job"]
    assert (row["name"], row.waste, row["items"]) == ("tagger", D(5), 100)
    assert "on 10 days" in row.evidence


@pytest.mark.parametrize(
    "columns",
    [{"feature": None, "user_id": "u1"}, {"feature": "tagger", "team": "data"}, {"feature": "tagger", "project": "p"}],
)
def test_a_job_with_a_user_or_an_owner_is_none(columns: dict[str, Any]) -> None:
    assert waste(warehouse_of(nightly(**columns)), MAY).empty


def test_calls_without_an_owner_at_any_time_are_no_job() -> None:
    calls = [
        one | {"started_at": one["started_at"] + timedelta(minutes=997 * number * number % 43_000)}
        for number, one in enumerate(nightly(feature=None))
    ]
    assert "unowned-job" not in found(warehouse_of(calls)).index


def context() -> list[dict[str, Any]]:
    """Calls of 9,500 tokens in 9.5 blocks, of which the first eight are the same in every call."""
    return numbered(
        priced(1 + number % 20, number, 9_500, 10, max_tokens=50, prefix_blocks=[*range(1, 9), 10**6 + number])
        for number in range(60)
    )


@pytest.mark.parametrize(
    "more", [(), (price(BIG, "cache_read", D(5)),)], ids=["no cache price", "cached costs as much"]
)
def test_a_constant_context_that_no_known_cache_price_lowers_is_to_be_checked(more: tuple[dict[str, Any], ...]) -> None:
    """8 of 9.5 blocks of 9,500 tokens are 8,000 tokens: at $5 per million 4 cents for each of 60 calls, if it is cut; by caching nobody knows."""
    facts = warehouse_of(context(), prices=prices(*more))
    frame = found(facts)
    assert list(frame.index) == ["constant-context"]
    row = frame.loc["constant-context"]
    assert (row.waste, row.tokens, row.certainty) == (D("2.4"), 480_000, "to be checked")
    assert "what caching would save is not known" in row.evidence
    summary = waste_summary(facts, MAY)
    assert summary.measured == ()
    assert summary.headline == "Up to $3.65 a month could be avoided after a check, as seen in May 2026"
    assert len(waste_evidence(facts, MAY, "constant-context", ("search", None, BIG))) == 60


def test_a_cache_discount_is_the_most_that_caching_saves() -> None:
    """480,000 tokens at $5 less $0.50 per million."""
    frame = found(warehouse_of(context(), prices=prices(price(BIG, "cache_read", D("0.5")))))
    assert list(frame.index) == ["uncached-context"]
    assert (frame.loc["uncached-context"].waste, frame.loc["uncached-context"].certainty) == (D("2.16"), "likely")
    # Every one of these calls as a read: no call before has written what it reads.
    assert "the most that caching saves" in frame.loc["uncached-context"].evidence


def test_a_context_that_is_cached_or_changes_is_no_waste() -> None:
    cached = [one | {"uncached_input_tokens": 1500, "cache_read_tokens": 8000} for one in context()]
    assert waste(warehouse_of(cached, prices=prices()), MAY).empty
    other = [one | {"prefix_blocks": [one["user_id"].__hash__() % 2**60 + n for n in range(9)]} for one in context()]
    assert waste(warehouse_of(other, prices=prices()), MAY).empty


def test_cache_writes_that_nobody_reads() -> None:
    """10,000 tokens written at $6.25 in place of $5 per million: 1.25 cents for each of 100 calls; a read in one of ten pays."""
    write = price(BIG, "cache_write_5m", D("6.25"))
    calls = numbered(
        priced(1 + number % 20, number, 100, 400, cost=D("0.0690"), cache_write_5m_tokens=10_000)
        for number in range(100)
    )
    row = found(warehouse_of(calls, prices=prices(write))).loc["unread-cache-writes"]
    assert (row.waste, row["items"]) == (D("1.25"), 100)
    read = [one | {"cache_read_tokens": 1_000} for one in calls]
    assert "unread-cache-writes" not in found(warehouse_of(read, prices=prices(write))).index


def test_answers_cut_off_and_asked_for_again() -> None:
    attempts = [
        priced(
            1 + number % 20, number + minutes, 2_000, 500, model=SMALL, feature="write", input_hash=f"h{number}", finish_reason=reason,
            user_id="u", cost=D("0.05"),
        )
        for number in range(60)
        for minutes, reason in ((0, "length"), (2, "stop"))
    ]  # fmt: skip
    row = found(warehouse_of(numbered(attempts))).loc["cut-and-asked-again"]
    assert (row["items"], row.waste) == (60, D(3))
    only_once = [one | {"input_hash": f"{one['input_hash']}-{one['finish_reason']}"} for one in attempts]
    assert waste(warehouse_of(numbered(only_once)), MAY).empty


def test_long_answers_to_a_short_task() -> None:
    """900 of 1,000 output tokens at $15 per million, 100 times. The same answers of another feature are what it is for."""
    calls = numbered(priced(1 + number % 20, number, 2_000, 1_000, feature="sentiment") for number in range(100))
    row = found(warehouse_of(calls, prices=prices())).loc["long-short-task"]
    assert (row.waste, row.tokens) == (D("1.35"), 90_000)
    assert waste(warehouse_of([one | {"feature": "write"} for one in calls], prices=prices()), MAY).empty


def test_runaway_answers_under_a_loose_limit() -> None:
    """One of 250 answers runs on for 100,000 tokens; the others stop at 400."""
    calls = numbered(
        priced(1 + number % 20, number, 2_000, 100_000 if number == 7 else 400, max_tokens=120_000)
        for number in range(250)
    )
    row = found(warehouse_of(calls, prices=prices())).loc["runaway-output"]
    assert (row["items"], row.tokens, row.waste) == (1, 99_600, D("1.494"))
    tight = [one | {"max_tokens": 500} for one in calls]
    assert waste(warehouse_of(tight, prices=prices()), MAY).empty


def test_a_premium_model_on_short_calls() -> None:
    """500 + 100 tokens: $0.004 on the big model, $0.000135 on the small one."""
    calls = numbered(priced(1 + number % 20, number, 500, 100) for number in range(300))
    row = found(warehouse_of(calls, prices=prices())).loc["premium-model"]
    assert (row.waste, row.certainty) == (300 * (D("0.004") - D("0.000135")), "to be checked")
    long = numbered(priced(1 + number % 20, number, 5_000, 100) for number in range(300))
    assert waste(warehouse_of(long, prices=prices()), MAY).empty
    assert waste(warehouse_of([one | {"labels": {"complexity": "0.9"}} for one in calls], prices=prices()), MAY).empty


def test_of_models_that_are_named_equally_alike_the_cheaper_is_compared_with() -> None:
    """0.25 and 0.40 USD are less than 0.15 and 0.60 together: 500 + 100 tokens cost $0.000165 there."""
    nano = (price("big-nano", "input", D("0.25")), price("big-nano", "output", D("0.40")))
    calls = numbered(priced(1 + number % 20, number, 500, 100) for number in range(300))
    row = found(warehouse_of(calls, prices=prices(*nano))).loc["premium-model"]
    assert row.waste == 300 * (D("0.004") - D("0.000165"))


def hours(idle: int, busy: int) -> list[dict[str, Any]]:
    return [
        {"hour": moment("2026-05-01", "00:00") + timedelta(hours=number), "resource": "gpu-1", "gpu": "L4", "gpu_count": 1,
         "gpu_utilization": 0.01 if number < idle else 0.9, "source": "x"}
        for number in range(idle + busy)
    ]  # fmt: skip


def test_an_idle_gpu_at_the_billed_price_of_an_hour() -> None:
    """$100 for 100 hours, 40 of them idle."""
    used = {
        "x_CostCategory": "GPU inference",
        "ResourceId": "arn/gpu-1",
        "ConsumedQuantity": D(25),
        "ConsumedUnit": "Hours",
    }
    bill = [charge("2026-05-01", "25", **used)] * 4
    row = found(warehouse_of(charges=bill, utilization=hours(40, 60))).loc["idle-gpu"]
    assert (row.waste, row.cost, row["items"]) == (D(40), D(100), 40)
    assert "40 of 100 hours below 10% utilisation, at the billed price" in row.evidence


def test_an_idle_gpu_without_a_bill_has_the_catalogues_price_or_none() -> None:
    listed = found(warehouse_of(utilization=hours(40, 60))).loc["idle-gpu"]
    assert listed.waste > 0
    assert "catalogue" in listed.evidence
    unknown = [one | {"gpu": "nobody's"} for one in hours(40, 60)]
    facts = warehouse_of(utilization=unknown)
    assert found(facts).loc["idle-gpu"].waste is None
    assert "prices that are not known" in waste_summary(facts, MAY).headline
    assert waste(warehouse_of(utilization=hours(10, 90)), MAY).empty


def test_a_dollar_is_counted_once() -> None:
    """A job that nobody owns embeds the same content again and again: its calls are in both rows, their cost once."""
    calls = nightly(feature=None, operation="embeddings", prompt_name="cron")
    calls = [one | {"input_hash": f"h{one['started_at'].minute}"} for one in calls]
    frame = found(warehouse_of(calls))
    assert frame.waste.to_dict() == {"unowned-job": D(5), "embedded-again": D("4.5")}
    assert sum(frame.counted_once) == D(5)
    summary = waste_summary(warehouse_of(calls), MAY)
    assert (
        summary.headline
        == "$13.70 a month could be avoided for certain, and up to $1.52 more after a check, as seen in May 2026"
    )
    assert (summary.per_month, summary.measured) == ((("USD", D("15.22")),), (("USD", D("13.70")),))
    chart = waste_report(warehouse_of(calls), MAY).by_kind
    assert chart[["kind", "part", "cost", "currency"]].to_numpy().tolist() == [
        ["Embedded again", "measured", D("13.70"), "USD"],
        ["Unowned job", "to be checked", D("1.52"), "USD"],
    ]


def test_half_a_month_is_scaled_to_a_month() -> None:
    facts = warehouse_of(nightly(feature=None))
    row = found(facts, Filters(date(2026, 5, 1), date(2026, 5, 10))).loc["unowned-job"]
    assert row.waste_per_month == (D(5) * D("30.4375") / 10).quantize(D("0.01"))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="embedded-again"):
        waste_evidence(warehouse_of(), MAY, "nonsense", (None, None, None))


CLEAN = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 1439), st.integers(1_500, 4_000), st.integers(250, 700), st.sampled_from(("write", "search"))),
    min_size=60, max_size=140,
)  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CLEAN)
def test_nothing_is_found_in_clean_data(rows: list[tuple[int, int, int, int, str]]) -> None:
    """Calls of users and owned features, each with its own content, at any time: no kind of waste is in them."""
    calls = numbered(
        priced(day, minute, inputs, output, feature=feature, input_hash=f"h{number}", prefix_blocks=[number + 1] * 4, max_tokens=999)
        for number, (day, minute, inputs, output, feature) in enumerate(rows)
    )  # fmt: skip
    assert waste(warehouse_of(calls, prices=prices()), MAY).empty


@pytest.mark.slow
def test_the_demo_companys_march(demo_warehouse: Warehouse) -> None:
    """The story's waste: the embedding job of $1,187, the constant context of about $4,000, GPUs idle at night, the sentiment pipeline."""
    march = Filters(date(2026, 3, 1), date(2026, 3, 31))
    frame = waste(demo_warehouse, march)
    by = {(row.kind, row["name"] or row.subject): row for _, row in frame.iterrows()}
    job = by[("unowned-job", "embed_documents")]
    assert (job.job, round(job.cost)) == ("reembed-all", 1187)
    assert by[("embedded-again", "embed_documents")].waste == pytest.approx(job.cost * 20 / 21, rel=D("0.001"))
    # Its model has no price of cached input: the whole of it can be cut, after a look, and nothing is said of caching.
    assert "uncached-context" not in set(frame.kind)
    ask = by[("constant-context", "ask")]
    assert ask.certainty == "to be checked"
    assert ask.waste == pytest.approx(D(4000), rel=D("0.03"))
    assert ask.tokens / ask["items"] == pytest.approx(8000, rel=0.03)
    idle = frame[frame.kind == "idle-gpu"]
    assert set(idle.subject) == {f"gpu-a100-{number}" for number in (1, 2, 3, 4)}
    assert 2_000 < sum(idle.waste) < D(10_400) * D("0.6")
    assert D(900) < by[("long-short-task", "sentiment")].waste < D(1_100)
    evidence = waste_evidence(demo_warehouse, march, "unowned-job", (job["name"], job.job, job.model), limit=10)
    assert len(evidence) == 10
    assert evidence.waste.is_monotonic_decreasing

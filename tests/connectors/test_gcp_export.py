"""Google Cloud billing exports: sums of costs and credits, both commitment models, and every form that files come in."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import files, gcp_export
from connectors.gcp_fields import python_list
from connectors.vertex import parse_sku
from tests.connectors.billing import SHARED, Read, read, totals, write_csv
from warehouse.configuration import Configuration
from warehouse.errors import InputError

D = Decimal
PUBLISHED = [
    (SHARED / "gcp_standard_2020-10_flat.csv", "0.355562"),
    (SHARED / "gcp_standard_2020-10_nested.jsonl.gz", "0.355562"),
    (SHARED / "gcp_detailed_2022-08_flat.csv", "0.000012"),
]


@pytest.mark.parametrize(
    ("path", "total"), [case for case in PUBLISHED if case[0].exists()], ids=lambda v: getattr(v, "name", "")
)
def test_published_totals(path, total):
    billed, effective, rejected, warnings = totals(gcp_export, path)
    assert (billed, effective, rejected, list(warnings)) == (D(total), D(total), 0, [])


def row(cost: float = 1.0, **more: Any) -> dict[str, Any]:
    """Synthetic, in the nested form of the documented schema."""
    base: dict[str, Any] = {
        "billing_account_id": "01AAAA-BBBBBB-CCCCCC",
        "invoice": {"month": "202603"},
        "cost_type": "regular",
        "service": {"id": "6F81-5844-456A", "description": "Compute Engine"},
        "sku": {"id": "D973-5D65-BAB2", "description": "E2 Instance Core running in Americas"},
        "usage_start_time": "2026-03-05 10:00:00 UTC",
        "usage_end_time": "2026-03-05 11:00:00 UTC",
        "project": {"id": "chat-prod", "number": "123", "name": "Chat", "labels": [{"key": "team", "value": "ai"}]},
        "labels": [],
        "system_labels": [],
        "tags": [],
        "location": {"location": "us-central1", "country": "US", "region": "us-central1", "zone": None},
        "resource": {"name": "vm-1", "global_name": "//compute.googleapis.com/vm-1"},
        "cost": cost,
        "currency": "USD",
        "currency_conversion_rate": 1.0,
        "usage": {"amount": 3600.0, "unit": "seconds", "amount_in_pricing_units": 1.0, "pricing_unit": "hour"},
        "credits": [],
        "adjustment_info": {"id": None, "description": None, "type": None, "mode": None},
        "export_time": "2026-03-06 02:00:00 UTC",
        "cost_at_list": None,
        "cost_at_effective_price_default": None,
        "consumption_model": {"id": None, "description": None},
        "subscription": {"instance_id": None},
        "price": {"effective_price": None, "list_price": None},
    }
    return base | more


def credit(amount: float, kind: str, name: str = "a credit") -> dict[str, Any]:
    return {"id": f"id-{kind}", "full_name": f"{name} in full", "type": kind, "name": name, "amount": amount}


def as_json_lines(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "export.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in rows))
    return path


KEY_VALUES = pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
CREDITS = pa.list_(
    pa.struct([(name, pa.string()) for name in ("id", "full_name", "type", "name")] + [("amount", pa.float64())])
)


def as_parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    def strings(name: str) -> pa.DataType:
        return pa.struct([(key, KEY_VALUES if key == "labels" else pa.string()) for key in rows[0][name]])

    typed = {
        "labels": KEY_VALUES, "system_labels": KEY_VALUES, "tags": KEY_VALUES, "credits": CREDITS,
        "usage": pa.struct({"amount": pa.float64(), "unit": pa.string(), "amount_in_pricing_units": pa.float64(), "pricing_unit": pa.string()}),
        "price": pa.struct({"effective_price": pa.float64(), "list_price": pa.float64()}),
    }  # fmt: skip
    columns = {}
    for name, value in rows[0].items():
        values = [line[name] for line in rows]
        if name.endswith("_time"):
            moments = [dt.datetime.fromisoformat(text.removesuffix(" UTC")).replace(tzinfo=dt.UTC) for text in values]
            columns[name] = pa.array(moments, pa.timestamp("us", "UTC"))
        elif name in typed:
            columns[name] = pa.array(values, typed[name])
        elif isinstance(value, dict):
            columns[name] = pa.array(values, strings(name))
        elif name.startswith(("cost", "currency_")) and name != "cost_type":
            columns[name] = pa.array(values, pa.float64())
        else:
            columns[name] = pa.array(values, pa.string())
    path = folder / "export.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def as_inferred_parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """As a data frame library writes it: what holds no value has the type null."""
    path = folder / "inferred.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def flat(rows: list[dict[str, Any]], lists: Any) -> list[dict[str, object]]:
    found = []
    for line in rows:
        out: dict[str, object] = {}
        for name, value in line.items():
            members = (
                {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
            )
            out |= {key: lists(inner) if isinstance(inner, list) else inner for key, inner in members.items()}
        found.append(out)
    return found


def as_csv_with_json(folder: Path, rows: list[dict[str, Any]]) -> Path:
    return write_csv(folder / "export.csv.gz", flat(rows, json.dumps))


def as_csv_with_python(folder: Path, rows: list[dict[str, Any]]) -> Path:
    return write_csv(folder / "export.csv", flat(rows, repr))


FORMS = [as_json_lines, as_parquet, as_inferred_parquet, as_csv_with_json, as_csv_with_python]


def export(tmp_path: Path, *rows: dict[str, Any]) -> Read:
    return read(gcp_export, as_json_lines(tmp_path, list(rows)))


MIXED = [
    row(10.0, credits=[credit(-1.5, "SUSTAINED_USAGE_DISCOUNT"), credit(-2.25, "PROMOTION", "Free trial")]),
    row(
        0.1,
        labels=[{"key": "feature", "value": "it's \"search\""}, {"key": "team", "value": "data"}],
        system_labels=[{"key": "compute.googleapis.com/machine_spec", "value": "g2-standard-8"}],
        tags=[{"key": "env", "value": "prod"}],
    ),
    row(-0.1, adjustment_info={"id": "x", "description": "fix", "type": "PRICE_CORRECTION", "mode": "COMPLETE_NEGATION_WITH_REMONETIZATION"},
        invoice={"month": "202604"}, labels=[]),
    row(0.7, cost_type="tax", project={"id": None, "number": None, "name": None, "labels": []}),
    row(0.01, cost_type="rounding_error"),
    row(-5.0, cost_type="adjustment"),
    row(30.0, sku={"id": "K", "description": "Commitment - dollar based v1: GCE"}, subscription={"instance_id": "sub-1"},
        credits=[credit(-30.0, "FEE_UTILIZATION_OFFSET")], cost_at_list=30.0),
    row(7.2, cost_at_list=10.0, cost_at_effective_price_default=9.0, consumption_model={"id": "c", "description": "Compute Flex CUD 1yr"}),
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_gives_the_same_charges(tmp_path, form):
    found = read(gcp_export, form(tmp_path, MIXED))
    reference = read(gcp_export, as_json_lines(tmp_path, MIXED))
    assert found.rejected == []
    assert len(found.rows) == 9
    for one, other in zip(found.rows, reference.rows, strict=True):
        assert one | {"x_Other": None} == other | {"x_Other": None}
        stamps = [json.loads(line["x_Other"])["export_time"][:19] for line in (one, other)]
        assert stamps[0] == stamps[1] == "2026-03-06 02:00:00"
    expected = sum(D(str(line["cost"])) + sum(D(str(c["amount"])) for c in line["credits"]) for line in MIXED)
    assert found.total("BilledCost") == found.total("EffectiveCost") == expected


def test_the_mapping_of_each_row(tmp_path):
    found = export(tmp_path, *MIXED)
    trial, usage, gpu, correction, tax, rounding, adjustment, fee, flexible = found.rows
    assert (usage["BilledCost"], usage["ListCost"], usage["ChargeCategory"]) == (D("8.5"), 10, "Usage")
    assert (trial["BilledCost"], trial["ChargeCategory"], trial["ChargeDescription"]) == (
        D("-2.25"),
        "Credit",
        "Free trial in full",
    )
    assert trial["ServiceName"] == usage["ServiceName"]
    assert json.loads(gpu["Tags"]) == {
        "feature": 'it\'s "search"',
        "team": "data",
        "env": "prod",
        "tag/env": "prod",
        "project/team": "ai",
        "system/compute.googleapis.com/machine_spec": "g2-standard-8",
    }
    assert json.loads(usage["Tags"]) == {"team": "ai", "project/team": "ai"}
    assert (gpu["x_UsageType"], gpu["ResourceId"]) == ("g2-standard-8", "//compute.googleapis.com/vm-1")
    assert (correction["ChargeClass"], correction["BillingPeriodStart"]) == ("Correction", dt.datetime(2026, 4, 1))
    assert correction["ChargePeriodStart"] == dt.datetime(2026, 3, 5, 10)
    assert (tax["ChargeCategory"], tax["SubAccountId"], tax["PricingQuantity"]) == ("Tax", None, None)
    assert [line["ChargeCategory"] for line in (rounding, adjustment, fee)] == ["Adjustment", "Adjustment", "Purchase"]
    assert (usage["BillingPeriodStart"], usage["BillingPeriodEnd"]) == (
        dt.datetime(2026, 3, 1),
        dt.datetime(2026, 4, 1),
    )
    assert (usage["ConsumedQuantity"], usage["ConsumedUnit"], usage["PricingQuantity"], usage["PricingUnit"]) == (
        3600,
        "seconds",
        1,
        "hour",
    )
    assert (flexible["ListCost"], flexible["ContractedCost"], flexible["PricingCategory"]) == (10, 9, "Committed")
    assert {line["ChargeClass"] for line in found.rows if line is not correction} == {None}


def test_promotions_do_not_hide_what_usage_costs(tmp_path):
    """Credits of -500 against 500 of usage: billed net 0, but unit costs use 500."""
    found = export(tmp_path, *(row(100.0, credits=[credit(-100.0, "PROMOTION")]) for _ in range(5)))
    assert found.total("BilledCost") == 0
    assert found.total("BilledCost", ChargeCategory="Usage") == 500
    assert found.total("BilledCost", ChargeCategory="Credit") == -500


def test_both_models_of_spend_based_commitments(tmp_path):
    """100 of usage under a 70 commitment that covers it whole: 70 before and after the change."""
    old = export(
        tmp_path,
        row(100.0, credits=[credit(-100.0, "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE")]),
        row(70.0, sku={"id": "F", "description": "Commitment - dollar based v1: Cloud SQL"}),
    )
    new = export(
        tmp_path,
        row(70.0, cost_at_list=100.0, consumption_model={"id": "m", "description": "CUD 3yr"}),
        row(70.0, sku={"id": "F", "description": "Commitment fee"}, credits=[credit(-70.0, "FEE_UTILIZATION_OFFSET")]),
    )
    for found in (old, new):
        assert found.total("BilledCost") == 70
        assert found.total("ListCost") == 100
        assert [line["ChargeCategory"] for line in found.rows] == ["Usage", "Purchase"]
        assert found.rows[0]["PricingCategory"] == "Committed"
    assert (old.rows[0]["CommitmentDiscountStatus"], old.rows[0]["CommitmentDiscountCategory"]) == ("Used", "Spend")


def test_rows_that_look_alike_are_additive(tmp_path):
    found = export(tmp_path, row(1.0), row(1.0), row(2.0, export_time="2026-03-07 02:00:00 UTC"))
    assert found.total("BilledCost") == 4
    assert len({line["x_Other"] for line in found.rows}) == 2


amounts = st.decimals(min_value=D("-1e6"), max_value=D("1e6"), places=6, allow_nan=False)
kinds = st.sampled_from(
    ["PROMOTION", "FREE_TIER", "DISCOUNT", "SUSTAINED_USAGE_DISCOUNT", "SUBSCRIPTION_BENEFIT", "RESELLER_MARGIN"]
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.tuples(amounts, st.lists(st.tuples(amounts, kinds), max_size=3)), min_size=1, max_size=12),
    form=st.sampled_from(FORMS),
)
def test_billed_is_exactly_cost_and_credits(tmp_path, lines, form):
    rows = [row(float(cost), credits=[credit(float(amount), kind) for amount, kind in given]) for cost, given in lines]
    found = read(gcp_export, form(tmp_path, rows))
    assert found.total("BilledCost") == sum(cost + sum(amount for amount, _ in given) for cost, given in lines)
    promotions = sum(amount for _, given in lines for amount, kind in given if kind == "PROMOTION")
    assert found.total("BilledCost", ChargeCategory="Credit") == promotions


OPTIONAL = sorted(
    set(row()) - {"billing_account_id", "service", "sku", "cost", "currency", "invoice", "credits", "cost_type"}
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gone=st.sets(st.sampled_from(OPTIONAL), min_size=1), form=st.sampled_from(FORMS))
def test_fields_that_appeared_later_may_be_absent(tmp_path, gone, form):
    rows = [{name: value for name, value in line.items() if name not in gone} for line in MIXED]
    found = read(gcp_export, form(tmp_path, rows))
    whole = sum(D(str(line["cost"])) + sum(D(str(c["amount"])) for c in line["credits"]) for line in MIXED)
    assert (found.rejected, found.total("BilledCost")) == ([], whole)


def test_absent_credits_are_said(tmp_path):
    line = row(5.0)
    del line["credits"]
    found = export(tmp_path, line)
    assert (found.total("BilledCost"), "before credits" in found.warnings[0]) == (5, True)


def test_rows_without_cost_currency_period_or_readable_credits_are_rejected(tmp_path):
    bad = [
        row(cost=None),
        row(currency=None),
        row(currency="dollars"),
        row(invoice={"month": "20261"}),
        row(invoice={"month": "197001"}),
        row(usage_start_time="2262-01-01 00:00:00 UTC"),
        row(credits=[{"type": "DISCOUNT", "amount": None}]),
        row(credits=[{"type": "PROMOTION", "amount": "much"}]),
        row(cost="NaN"),
    ]  # fmt: skip
    found = export(tmp_path, row(1.0), *bad, row(2.0))
    assert [number for number, *_ in found.rejected] == list(range(2, 11))
    assert [column for _, column, _ in found.rejected] == [
        "cost", "currency", "currency", "invoice.month", "invoice.month", "usage_start_time", "credits", "credits", "cost",
    ]  # fmt: skip
    assert found.total("BilledCost") == 3


def test_a_list_that_is_no_list_rejects_the_row_and_runs_nothing(tmp_path):
    lines = flat([row(1.0), row(2.0)], repr)
    lines[1]["credits"] = "[__import__('pathlib').Path('/tmp/percall-must-not-exist').touch()]"
    found = read(gcp_export, write_csv(tmp_path / "export.csv", lines))
    assert [(number, column) for number, column, _ in found.rejected] == [(2, "credits")]
    assert not Path("/tmp/percall-must-not-exist").exists()
    assert found.total("BilledCost") == 1


def test_python_lists():
    assert python_list("[{'key': 'a', 'value': None}]") == '[{"key": "a", "value": null}]'
    assert python_list("[{'amount': Decimal('-0.10')}]") == '[{"amount": "-0.10"}]'
    assert python_list("{'a': 1}") is None
    assert python_list("[1, 2") is None
    assert python_list("[open('x')]") is None


@pytest.mark.parametrize("gone", ["cost", "currency"])
def test_a_file_without_cost_or_currency_is_refused(tmp_path, gone):
    lines = flat([row()], json.dumps)
    del lines[0][gone]
    file = files.inspect(write_csv(tmp_path / "export.csv", lines), tmp_path)
    with duckdb.connect() as connection, pytest.raises(InputError, match=f"no column {gone}"):
        list(gcp_export.extract(connection, file, Configuration()))


def test_vertex_rows_name_their_model(tmp_path):
    """Synthetic: descriptions as in real exports, costs invented."""
    service = {"id": "C7E2-9256-1C43", "description": "Vertex AI"}
    skus = ["Gemini 2.5 Flash GA Text Input - Predictions", "Vertex AI: Training in us-central1"]
    found = export(
        tmp_path, *(row(1.0, service=service, sku={"id": str(i), "description": sku}) for i, sku in enumerate(skus))
    )
    assert [(line["x_Model"], line["x_TokenDirection"]) for line in found.rows] == [
        ("gemini-2.5-flash", "input"),
        (None, None),
    ]
    assert {line["ServiceCategory"] for line in found.rows} == {"AI and Machine Learning"}


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Gemini 2.5 Flash GA Text Input - Predictions", ("gemini-2.5-flash", "input", None)),
        ("Gemini 2.5 Flash GA Thinking Text Output - Predictions", ("gemini-2.5-flash", "output", None)),
        ("Gemini 2.5 Flash GA Text Output (Thinking On) - Predictions", ("gemini-2.5-flash", "output", None)),
        (" Gemini 2.5 Flash GA Input Text Caching", ("gemini-2.5-flash", "input", "read")),
        (" Gemini 2.5 Flash Lite Input Text Caching", ("gemini-2.5-flash-lite", "input", "read")),
        ("Gemini 2.5 Flash Lite Text Output - Predictions", ("gemini-2.5-flash-lite", "output", None)),
        ("Gemini 2.5 Pro Text Input (Long) - Batch Predictions", ("gemini-2.5-pro", "input", None)),
        ("Gemini 3 Flash Text Input Caching Storage", ("gemini-3-flash", None, None)),
        ("Gemini 2.0 Flash Image Input - Predictions", ("gemini-2.0-flash", "input", None)),
        ("Gemini 2.5 Flash Image Output - Predictions", ("gemini-2.5-flash-image", "output", None)),
        (
            "Generate content output token count gemini 2.5 flash lite short input text",
            ("gemini-2.5-flash-lite", "output", None),
        ),
        ("Generate content input token count gemini 2.5 flash short output text", ("gemini-2.5-flash", "input", None)),
        ("Claude Sonnet 4.5 - Input Tokens", ("claude-sonnet-4-5", "input", None)),
        ("Claude 3.5 Haiku Cache Write Tokens", ("claude-3-5-haiku", "input", "write")),
        ("Gemini Embedding 001 Text Input", ("gemini-embedding-001", "input", None)),
        ("Unknown Future SKU", (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_vertex_descriptions(description, expected):
    found = parse_sku(description)
    assert (found.model, found.direction, found.cache_action) == expected

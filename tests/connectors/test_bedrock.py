"""Bedrock on an AWS bill: which model, direction and cache action a line is of, and maps as every writer of reports leaves them."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import aws_cur
from connectors.bedrock import parse_bedrock
from tests.connectors.aws_lines import line
from tests.connectors.billing import read, write_csv
from warehouse.models import canonical_model

D = Decimal


def bedrock_rows() -> list[dict[str, object]]:
    """Synthetic: no public report with Bedrock lines is known; formats as AWS documents them."""
    shared = {"line_item_product_code": "AmazonBedrock", "bill_payer_account_name": "Payer"}
    principal = "arn:aws:sts::222222222222:assumed-role/Chat/alice"
    return [
        line("Usage", "0.30", **shared, line_item_usage_type="USE1-Claude4.5Sonnet-input-tokens", line_item_usage_amount="100",
             pricing_unit="1K tokens", line_item_iam_principal=principal,
             product={"product_name": "Amazon Bedrock", "region": "us-east-1"}, resource_tags={"user_feature": "search"},
             tags={"iamPrincipal/team": "ai", "iamPrincipal/feature": "chat", "accountTag/env": "prod"}),
        line("Usage", "0.06", **shared, line_item_usage_type="USE1-NovaLite-output-tokens", line_item_usage_amount="0.25",
             pricing_unit="1M tokens", product={"product_name": "Amazon Bedrock"}, resource_tags={}, tags={}),
        line("Usage", "0.01", **shared, line_item_usage_type="USE1-NovaPro-cache-read-input-token-count",
             line_item_usage_amount="50000", pricing_unit="tokens", product={"product_name": "Amazon Bedrock"}),
        line("Usage", "0.25", line_item_product_code="4h7xamplemarketplace", bill_billing_entity="AWS Marketplace",
             line_item_legal_entity="Anthropic, PBC", line_item_usage_type="USW2-MP:USW2_InputTokenCount-Units",
             product={"product_name": "Claude 3 Haiku (Amazon Bedrock Edition)"}),
        line("Usage", "0.11", **shared, line_item_usage_type="USE1-Guardrail-ContentPolicyUnitsConsumed",
             product={"product_name": "Amazon Bedrock"}),
    ]  # fmt: skip


def as_cur2_csv(path: Path) -> Path:
    rows = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in bedrock_rows()]
    return write_csv(path / "cur2-00001.csv.gz", rows)


def as_cur2_parquet(path: Path) -> Path:
    rows = bedrock_rows()
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if name in ("product", "resource_tags", "tags"):
            pairs = [None if value is None else list(value.items()) for value in values]
            columns[name] = pa.array(pairs, pa.map_(pa.string(), pa.string()))
        elif name in ("line_item_unblended_cost", "line_item_usage_amount"):
            columns[name] = pa.array([None if value is None else float(str(value)) for value in values])
        elif name.endswith("_date"):
            columns[name] = pa.array([dt.datetime.fromisoformat(str(value)) for value in values], pa.timestamp("ms"))
        else:
            columns[name] = pa.array(values, pa.string())
    pq.write_table(pa.table(columns), path / "cur2-00001.snappy.parquet")
    return path / "cur2-00001.snappy.parquet"


def as_inferred_parquet(path: Path) -> Path:
    """As a data frame library writes it: maps become structs, what holds no value has the type null."""
    rows = bedrock_rows()
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(
        pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), path / "cur2.parquet"
    )
    return path / "cur2.parquet"


@pytest.mark.parametrize("write", [as_cur2_csv, as_cur2_parquet, as_inferred_parquet])
def test_maps_of_cur2_and_bedrock_lines(tmp_path, write):
    found = read(aws_cur, write(tmp_path))
    claude, nova, cached, sold, guardrail = found.rows
    assert [(row["x_Model"], row["x_TokenDirection"], row["x_CacheAction"]) for row in found.rows] == [
        ("claude-sonnet-4-5", "input", None),
        ("nova-lite", "output", None),
        ("nova-pro", "input", "read"),
        ("claude-3-haiku", "input", None),
        (None, None, None),
    ]
    assert [(row["ConsumedQuantity"], row["ConsumedUnit"]) for row in (claude, nova, cached)] == [
        (100_000, "Tokens"),
        (250_000, "Tokens"),
        (50_000, "Tokens"),
    ]
    assert (claude["PricingQuantity"], claude["PricingUnit"]) == (100, "1K tokens")
    assert json.loads(claude["Tags"]) == {
        "feature": "search",
        "team": "ai",
        "iamPrincipal/team": "ai",
        "iamPrincipal/feature": "chat",
        "accountTag/env": "prod",
    }
    assert claude["x_Principal"] == "arn:aws:sts::222222222222:assumed-role/Chat/alice"
    assert (claude["BillingAccountName"], claude["RegionId"], sold["ServiceProviderName"]) == (
        "Payer",
        "us-east-1",
        "AWS",
    )
    assert {row["ServiceCategory"] for row in found.rows} == {"AI and Machine Learning"}
    assert guardrail["x_UsageType"] == "USE1-Guardrail-ContentPolicyUnitsConsumed"
    assert found.total("BilledCost") == D("0.73")


@pytest.mark.parametrize(
    ("usage_type", "product_name", "expected"),
    [
        ("USE1-Claude4.6Sonnet-input-tokens", None, ("claude-sonnet-4-6", "input", None)),
        ("EU-Claude3Sonnet-output-tokens", None, ("claude-3-sonnet", "output", None)),
        ("USE1-Claude3.5Haiku-output-tokens", None, ("claude-3-5-haiku", "output", None)),
        ("USE1-NovaLite-output-tokens", "Amazon Bedrock", ("nova-lite", "output", None)),
        ("USE1-Nova2.0Lite-cache-write-input-token-count", None, ("nova-2-lite", "input", "write")),
        ("USE1-NovaPro-input-image-token-count", None, ("nova-pro", "input", None)),
        ("USE1-Llama4-Maverick-17B-input-tokens-batch", None, ("llama4-maverick-17b-instruct", "input", None)),
        ("USE1-qwen.qwen3-32b-mantle-output-tokens-flex", None, ("qwen3-32b", "output", None)),
        ("USE1-TitanEmbeddingV2-Text-input-tokens", None, ("titan-embed-text-v2", "input", None)),
        (
            "USW2-MP:USW2_OutputTokenCount-Units",
            "Claude 3 Haiku (Amazon Bedrock Edition)",
            ("claude-3-haiku", "output", None),
        ),
        (
            "USE1-MP:USE1_CacheReadInputTokenCount-Units",
            "Claude Sonnet 4.5 (Amazon Bedrock Edition)",
            ("claude-sonnet-4-5", "input", "read"),
        ),
        ("USE1-MP:USE1_InputTokenCount-Units", None, (None, "input", None)),
        ("USE1-Claude4.5Haiku-input-tokens-cross-region-global", None, ("global.claude-haiku-4-5", "input", None)),
        ("USE1-Claude4Sonnet-input-tokens-cross-region-global", None, ("claude-sonnet-4", "input", None)),
        ("USE1-Guardrail-ContentPolicyUnitsConsumed", "Amazon Bedrock", (None, None, None)),
        (None, None, (None, None, None)),
    ],
)
def test_bedrock_usage_types(usage_type, product_name, expected):
    found = parse_bedrock(usage_type, product_name)
    assert (found.model, found.direction, found.cache_action) == expected


@pytest.mark.parametrize(
    ("called", "usage_type"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "USE1-Claude4.5Sonnet-input-tokens"),
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "USE1-Claude4.5Haiku-input-tokens-cross-region-global"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "USE1-Claude3.5Sonnetv2-input-tokens"),
        ("us.amazon.nova-pro-v1:0", "USE1-NovaPro-input-tokens"),
        ("amazon.nova-2-lite-v1:0", "USE1-Nova2.0Lite-input-tokens"),
        ("amazon.titan-embed-text-v2:0", "USE1-TitanEmbeddingV2-Text-input-tokens"),
        ("amazon.titan-embed-text-v1", "USE1-TitanEmbeddingsG1-Text-input-tokens"),
        ("meta.llama3-3-70b-instruct-v1:0", "USE1-Llama3-3-70B-input-tokens"),
        ("qwen.qwen3-32b-v1:0", "USE1-qwen.qwen3-32b-mantle-input-tokens-standard"),
    ],
)
def test_the_bill_names_a_model_as_calls_do(called, usage_type):
    assert parse_bedrock(usage_type, None).model == canonical_model("bedrock", called)[1]


@settings(deadline=None)
@given(st.text(max_size=60), st.one_of(st.none(), st.text(max_size=40)))
def test_no_usage_type_breaks_the_parser(usage_type, product_name):
    assert parse_bedrock(usage_type, product_name).direction in (None, "input", "output")

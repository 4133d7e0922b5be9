"""Answers of AWS Cost Explorer: hand-computed golden cases in the form that the service's model (botocore) describes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import aws_cost_explorer, files
from connectors.detection import detect_kind
from tests.connectors.billing import Read, read
from tests.operations.command import percall
from warehouse.errors import InputError

SERVICE_AND_USAGE = [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}]
RECORD_AND_SERVICE = [{"Type": "DIMENSION", "Key": "RECORD_TYPE"}, {"Type": "DIMENSION", "Key": "SERVICE"}]
MODEL_AND_USAGE = [{"Type": "PRODUCT_ATTRIBUTE", "Key": "model"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}]
MARKETPLACE = "USW2-MP:USW2_InputTokenCount-Units"


def group(
    keys: Sequence[str], billed: str, amortised: str | None = None, quantity: str = "1", unit: str = "N/A"
) -> dict[str, Any]:
    metrics = {"UnblendedCost": {"Amount": billed, "Unit": "USD"}, "UsageQuantity": {"Amount": quantity, "Unit": unit}}
    metrics["AmortizedCost"] = {"Amount": billed if amortised is None else amortised, "Unit": "USD"}
    return {"Keys": list(keys), "Metrics": metrics}


def answer(
    definitions: list[dict[str, str]], *groups: dict[str, Any], day: int = 1, estimated: bool = False, **more: Any
) -> dict[str, Any]:
    period = {"Start": f"2026-10-{day:02d}", "End": f"2026-10-{day + 1:02d}"}
    result = {"TimePeriod": period, "Total": {}, "Groups": list(groups), "Estimated": estimated}
    return {"GroupDefinitions": definitions, "ResultsByTime": [result], "DimensionValueAttributes": [], **more}


def written(folder: Path, *answers: dict[str, Any]) -> Path:
    path = folder / "costs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in answers))
    return path


def extracted(folder: Path, *answers: dict[str, Any]) -> Read:
    return read(aws_cost_explorer, written(folder, *answers))


def test_lines_are_exact_and_named(tmp_path: Path) -> None:
    found = extracted(
        tmp_path,
        answer(
            SERVICE_AND_USAGE,
            group(
                ["Amazon Elastic Compute Cloud - Compute", "BoxUsage:g5.xlarge"], "24.1440000001", "20.5", "24", "Hrs"
            ),
            group(["Amazon Bedrock", "USE1-NovaLite-output-tokens"], "0.0024", quantity="10000", unit="Tokens"),
            estimated=True,
            AccountId="111122223333",
        ),
    )
    compute, bedrock = found.rows
    assert (compute["BilledCost"], compute["EffectiveCost"]) == (Decimal("24.144000000100"), Decimal("20.5"))
    assert (compute["ConsumedQuantity"], compute["ConsumedUnit"]) == (Decimal(24), "Hrs")
    assert (compute["ChargePeriodStart"], compute["ChargePeriodEnd"]) == (datetime(2026, 10, 1), datetime(2026, 10, 2))
    assert (compute["BillingPeriodStart"], compute["BillingPeriodEnd"]) == (
        datetime(2026, 10, 1),
        datetime(2026, 11, 1),
    )
    assert (compute["BillingAccountId"], compute["InvoiceId"]) == ("111122223333", None)
    assert json.loads(compute["x_Other"]) == {"Estimated": "true"}
    assert (bedrock["x_Model"], bedrock["x_TokenDirection"]) == ("nova-lite", "output")


def test_credits_and_taxes_are_lines_of_their_own_category(tmp_path: Path) -> None:
    found = extracted(
        tmp_path,
        answer(
            RECORD_AND_SERVICE,
            group(["Credit", "Amazon Bedrock"], "-5.00"),
            group(["Tax", "Amazon Bedrock"], "1.90"),
            group(["Refund", "Amazon Bedrock"], "-0.10"),
            group(["SavingsPlanRecurringFee", "Savings Plans for AWS Compute usage"], "3.00", "0"),
        ),
    )
    assert [row["ChargeCategory"] for row in found.rows] == ["Credit", "Tax", "Usage", "Purchase"]
    assert found.total("BilledCost") == Decimal("-0.20")
    assert found.total("EffectiveCost") == Decimal("-3.20")
    assert any("do not say of which account" in warning for warning in found.warnings)


def test_bedrock_lines_are_divided_by_model_where_the_parts_add_up(tmp_path: Path) -> None:
    lines = answer(
        SERVICE_AND_USAGE,
        group(["Amazon Bedrock", MARKETPLACE], "10.00", quantity="300"),
        group(["Amazon Bedrock", "USE1-NovaLite-input-tokens"], "2.00"),
        group(["Amazon Simple Storage Service", "Requests-Tier1"], "1.00"),
    )
    by_model = answer(
        MODEL_AND_USAGE,
        group(["model$Claude Sonnet 5", MARKETPLACE], "7.50", quantity="200"),
        group(["model$Claude Haiku 4.5", MARKETPLACE], "2.50", quantity="100"),
        group(["model$Nova Lite", "USE1-NovaLite-input-tokens"], "1.99"),
    )
    found = extracted(tmp_path, lines, by_model)
    assert found.total("BilledCost") == Decimal("13.00")
    named = {row["x_Model"]: row["BilledCost"] for row in found.rows if row["x_UsageType"] == MARKETPLACE}
    assert named == {"claude-sonnet-5": Decimal("7.50"), "claude-haiku-4-5": Decimal("2.50")}
    # 1.99 is not 2.00: the line stays whole, named by its usage type.
    (nova,) = [row for row in found.rows if row["x_UsageType"] == "USE1-NovaLite-input-tokens"]
    assert (nova["BilledCost"], nova["x_Model"]) == (Decimal("2.00"), "nova-lite")


def test_tags_accounts_and_totals(tmp_path: Path) -> None:
    by_tag = [{"Type": "TAG", "Key": "team"}, {"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"}]
    total = answer([], day=2)
    total["ResultsByTime"][0] |= {"Groups": [], "Total": group([], "4.00")["Metrics"]}
    found = extracted(
        tmp_path,
        answer(by_tag, group(["team$ai", "444455556666"], "3.00"), group(["team$", "444455556666"], "1.00")),
        total,
    )
    assert [row["Tags"] for row in found.rows] == ['{"team": "ai"}', None, None]
    assert [row["SubAccountId"] for row in found.rows] == ["444455556666", "444455556666", None]
    assert found.total("BilledCost") == Decimal("8.00")


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "12,5", "1e30"])
def test_an_amount_that_cannot_be_read_rejects_its_line_alone(tmp_path: Path, amount: str) -> None:
    found = extracted(tmp_path, answer(SERVICE_AND_USAGE, group(["A", "b"], amount), group(["A", "c"], "1.00")))
    assert [(row, column) for row, column, _ in found.rejected] == []
    assert [(reject.row, reject.column) for reject in found.extraction.rejects] == [(1, "UnblendedCost")]
    assert found.total("BilledCost") == Decimal("1.00")


def test_an_answer_without_costs_is_refused(tmp_path: Path) -> None:
    only_usage = answer(
        SERVICE_AND_USAGE, {"Keys": ["A", "b"], "Metrics": {"UsageQuantity": {"Amount": "1", "Unit": "N/A"}}}
    )
    with pytest.raises(InputError, match="ask for UnblendedCost"):
        extracted(tmp_path, only_usage)


def test_what_the_command_line_prints_is_recognised_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "october.json"
    path.write_text(
        json.dumps(answer(SERVICE_AND_USAGE, group(["Amazon Bedrock", "USE1-NovaLite-input-tokens"], "1.25")), indent=4)
    )
    assert detect_kind(files.inspect(path, tmp_path)) == "aws-cost-explorer"
    loaded = percall("load", path, store=tmp_path / "store")
    assert [(line["rows_in"], line["billed"]) for line in loaded.lines] == [(1, "1.250000000000")]
    costs = percall(
        "export", "costs", "--by", "category", "--grain", "month", "--format", "json", store=tmp_path / "store"
    ).json
    assert [(row["category"], row["cost"]) for row in costs] == [("LLM API", "1.250000000000")]

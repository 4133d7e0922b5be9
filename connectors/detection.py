"""Which kind a file is of, from its content, and the connector that reads each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from connectors.extraction import Connector
from connectors.files import SourceFile
from warehouse.errors import InputError


@dataclass(frozen=True)
class Kind:
    """A kind of file: where its connector is (a module, or an object in one) and by which columns people recognise it."""

    module: str
    telling: str
    attribute: str | None = None

    def connector(self) -> Connector:
        """The connector, imported on first use."""
        module = import_module(self.module)
        return cast(Connector, getattr(module, self.attribute) if self.attribute else module)


KINDS: dict[str, Kind] = {
    "focus": Kind("connectors.focus", "BilledCost, BillingCurrency, ChargePeriodStart, ChargeCategory"),
    "aws-cur": Kind("connectors.aws_cur", "lineItem/UnblendedCost or line_item_unblended_cost, bill/PayerAccountId"),
    "aws-cost-explorer": Kind(
        "connectors.aws_cost_explorer", "ResultsByTime, GroupDefinitions (JSON of GetCostAndUsage)"
    ),
    "gcp-export": Kind(
        "connectors.gcp_export", "billing_account_id, service, sku, usage_start_time, cost, export_time"
    ),
    "litellm": Kind("connectors.litellm", "response_cost or spend, call_type, model_group, startTime"),
    "langfuse-export": Kind("connectors.langfuse_export", "trace_id, provided_model_name, usage_details, cost_details"),
    "otel": Kind("connectors.otel", "resourceSpans with gen_ai.* attributes"),
    "openai-usage": Kind(
        "connectors.openai_usage",
        "start_time, amount_value, amount_currency or num_model_requests, or pages of organization costs or usage (JSON)",
    ),
    "anthropic-usage": Kind(
        "connectors.anthropic_usage",
        "usage_date_utc, cost_usd or usage_output_tokens, or pages of a cost or usage report (JSON)",
    ),
    "calls": Kind("connectors.plain", "started_at, model, and input_tokens, output_tokens or reported_cost", "CALLS"),
    "activity": Kind("connectors.plain", "date, and user_id or active_users", "ACTIVITY"),
    "revenue": Kind("connectors.plain", "date, amount, currency", "REVENUE"),
    "utilization": Kind("connectors.plain", "hour, resource", "UTILIZATION"),
    "prices": Kind("connectors.plain", "provider, model, token_class, amount, valid_from", "PRICES"),
    "fx": Kind("connectors.plain", "date, from_currency, to_currency, rate", "FX"),
}
"""All kinds that can be loaded. A source's own format is asked before the plain tables, whose names are common words."""


def connector_for(kind: str) -> Connector:
    """The connector of a kind. Raises InputError when there is no such kind."""
    if kind not in KINDS:
        raise InputError(f"there is no kind {kind!r}; known are {', '.join(KINDS)}")
    return KINDS[kind].connector()


def detect_kind(file: SourceFile) -> str:
    """The kind of a file. Raises InputError, with what was found and what would tell, when none or several kinds fit."""
    specific = _matching(file, lambda kind: kind.attribute is None)
    found = specific or _matching(file, lambda kind: kind.attribute is not None)
    if len(found) == 1:
        return found[0]
    columns = ", ".join(file.columns[:40]) + (", ..." if len(file.columns) > 40 else "")
    there = f"its columns are {columns}" if columns else "it has no readable rows or columns"
    if found:
        raise InputError(
            f"this file may be {' or '.join(found)}; name the kind before the file ({there})", file=file.name
        )
    wrong = (
        f" The first line that could not be read: {file.rejects[0].reason}."
        if file.rejects and not file.columns
        else ""
    )
    known = "; ".join(f"{name}: {kind.telling}" for name, kind in KINDS.items())
    raise InputError(
        f"cannot tell what this file is: {there}.{wrong} Known kinds and the columns that tell them: {known}",
        file=file.name,
    )


def _matching(file: SourceFile, which: Callable[[Kind], bool]) -> list[str]:
    return [name for name, kind in KINDS.items() if which(kind) and kind.connector().detect(file)]

"""What every search for waste among calls starts from: the calls of the period with the unit prices that held for each.

A search answers with flagged calls: one row per call, with what the call cost and which part of that was avoidable. Costs are those of the
traces, in USD: waste is found in calls, also where a bill is the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property

import ibis
import ibis.expr.types as ir

from analytics.feature_detail import calls_between
from analytics.frames import rows_of
from analytics.ledger import MONEY
from analytics.simulators.build_workload import call_filters
from analytics.waste_scope import Scope
from warehouse.pricing import unit_prices
from warehouse.rates import units_per
from warehouse.reader import Warehouse

UNIT = "decimal(25, 16)"
JOB_LABELS = ("job", "cron", "dag_id", "workflow", "pipeline", "task")
"""Labels of calls that name the job which made them, the first that is there."""

NEEDED = (
    "call_id", "source", "started_at", "project", "feature", "team", "user_id", "session_id", "provider", "model", "model_raw", "operation",
    "processing", "price_id", "uncached_input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens",
    "output_tokens", "cost", "max_tokens", "finish_reason", "input_hash", "prefix_blocks", "labels",
)  # fmt: skip
"""Columns of calls that searches look at."""

UNNAMED = ""
"""Stands for a missing name in the keys of groups, because missing names never join."""

GROUP = ("name", "job", "model")
"""What a finding is about: the prompt (by its name, else by its feature), the job and the model of its calls."""

FLAGGED = ("call_id", "source", "started_at", *GROUP, "feature", "provider", "team", "cost", "waste", "tokens")
_CARRIED = tuple(name for name in FLAGGED if name not in ("waste", "tokens"))


class Search:
    """One search through a period: the warehouse, the scope, and what all kinds of waste ask for, read once."""

    def __init__(self, warehouse: Warehouse, scope: Scope) -> None:
        self.warehouse = warehouse
        self.scope = scope
        self._made: dict[Callable[[Search], ir.Table], ir.Table] = {}

    def once(self, part: Callable[[Search], ir.Table]) -> ir.Table:
        """What several kinds of waste start from, made once: one question that names it twice works it out once."""
        if part not in self._made:
            self._made[part] = part(self)
        return self._made[part]

    @cached_property
    def calls(self) -> ir.Table:
        """The calls of the period as `named` makes them."""
        return named(calls_between(self.warehouse, call_filters(self.scope.filters)))

    @cached_property
    def units(self) -> dict[str, dict[str, Decimal]]:
        """Prices by price_id and token class: USD per million tokens."""
        calls = self.calls.filter(self.calls.price_id.notnull())
        found = rows_of(
            self.warehouse,
            calls.group_by("price_id").agg(
                at=calls.started_at.max(), provider=calls.provider.max(),
                raw=ibis.coalesce(calls.model_raw, calls.model).max(), processing=calls.processing.max(),
            ),
        )  # fmt: skip
        units: dict[str, dict[str, Decimal]] = {}
        for row in sorted(found, key=lambda row: row["price_id"]):
            book, tier = _book_and_tier(row["price_id"])
            units[row["price_id"]] = unit_prices(
                self.warehouse.connection.cursor(), "prices", row["provider"], row["raw"] or "", at=row["at"],
                processing=row["processing"] or "standard", book=book, input_tokens=tier + 1,
            )  # fmt: skip
        return units

    def priced(self, calls: ir.Table, *kinds: str) -> ir.Table:
        """The calls with `unit_input`, `unit_output`, ... of these classes: USD per token at the call's own price; NULL: none of that class is known.

        Only those that are asked for: each names every price of the period in the question.
        """
        return calls.mutate(**{f"unit_{kind}": _unit(calls.price_id, kind, self.units) for kind in kinds})


def named(calls: ir.Table) -> ir.Table:
    """The successful calls that no gateway cache answered, with `name`, `job`, `input_tokens` and `out_tokens`.

    name: of the prompt, else the feature. input_tokens: all input, cached or not; out_tokens: output with reasoning; both NULL where the
    usage is not known.
    """
    calls = calls.filter(calls.status.fill_null("success") != "failure", ~calls.cache_hit.fill_null(False))
    job = ibis.coalesce(*(calls.labels.get(name, ibis.null("string")) for name in JOB_LABELS))
    cached = (calls.cache_read_tokens, calls.cache_write_5m_tokens, calls.cache_write_1h_tokens)
    whole = calls.uncached_input_tokens
    for part in cached:
        whole = whole + part.fill_null(0)
    return calls.select(
        *NEEDED,
        job=job,
        name=ibis.coalesce(calls.prompt_name, calls.feature),
        input_tokens=whole,
        out_tokens=calls.output_tokens + calls.reasoning_tokens.fill_null(0),
    )


def _book_and_tier(price_id: str) -> tuple[str, int]:
    tier = price_id.rpartition("@")[0].rpartition("/")[2]
    return price_id.partition("/")[0], int(tier) if tier.isdigit() else 0


def _unit(price_id: ir.StringColumn, kind: str, units: Mapping[str, Mapping[str, Decimal]]) -> ir.Value:
    branches = [
        (price_id == name, per_token(prices[kind])) for name, prices in units.items() if prices.get(kind) is not None
    ]
    return ibis.cases(*branches, else_=ibis.null(UNIT)) if branches else ibis.null(UNIT)


def per_token(amount: Decimal) -> ir.Value:
    """A price per million tokens as a literal per token."""
    return ibis.literal(amount / units_per("input"), UNIT)


def amount(tokens: ir.NumericValue, unit: ir.Value) -> ir.Value:
    """tokens x unit price in USD, exact."""
    return tokens.cast("decimal(12, 0)") * unit


def carrying(calls: ir.Table, *names: str) -> ir.Table:
    """The calls with what a flagged one is told by, and these columns: what a search begins with.

    Every step of every search repeats all columns that it carries: one question over all of them was 199 kB of SQL, and compiling and planning it
    took two seconds of CPU, longer than the answer for a million calls.
    """
    return calls.select(*_CARRIED, *(name for name in names if name not in _CARRIED))


def flagged(calls: ir.Table, waste: ir.Value, tokens: ir.Value | None = None) -> ir.Table:
    """Calls as `FLAGGED`: `waste` at most what the call cost; `tokens` that were not needed (NULL: not counted in tokens)."""
    cost = calls.cost.cast(MONEY)
    table = calls.mutate(
        cost=cost,
        waste=ibis.greatest(ibis.least(waste.cast(MONEY), cost), ibis.literal(Decimal(0), MONEY)),
        tokens=ibis.null("int64") if tokens is None else tokens.cast("int64"),
    )
    return table.filter(table.cost > 0).select(*FLAGGED)


def keyed(table: ir.Table, names: Sequence[str]) -> ir.Table:
    """The table with key_<name> for each name: never NULL, so that groups can be joined."""
    return table.mutate(**{f"key_{name}": table[name].fill_null(UNNAMED) for name in names})


def with_sums(calls: ir.Table, names: Sequence[str], **sums: Callable[[ir.Table], ir.Value]) -> ir.Table:
    """The calls with sums of their group (calls of the same `names`) beside each."""
    calls_keyed = keyed(calls, names)
    keys = [f"key_{name}" for name in names]
    return calls_keyed.inner_join(calls_keyed.group_by(keys).agg(**sums), keys)

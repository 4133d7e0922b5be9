"""What is asked of DuckDB and of an engine alike, and must be answered the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import ibis
import numpy as np
import pytest

from analytics.feature_detail import feature_detail
from analytics.filters import Filters
from analytics.simulators.batch import Batch
from analytics.simulators.build_situation import build_situation
from analytics.simulators.build_workload import build_workload
from analytics.simulators.heavy_columns import CODES, KEYS, NUMBERS
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.prompt_cache import PromptCache
from analytics.simulators.run_scenario import run
from analytics.simulators.workload import CODED, Workload
from tests.engines.small import differences
from warehouse.reader import Warehouse
from warehouse.schema import TOKEN_CLASSES

APRIL = Filters(date(2026, 4, 10), date(2026, 5, 9))
MAY_BE_EMPTY = {"plans", "budgets", "fx", "rejects", "restatements"}
"""Views that the small store leaves empty: they are asked all the same, but prove little."""

Check = Callable[[Warehouse, Warehouse], None]


def what_pages_ask_first(here: Warehouse, there: Warehouse) -> None:
    assert there.span() == here.span()
    assert (there.is_demo, there.is_empty, there.snapshot_id) == (True, False, here.snapshot_id)
    for name in ("feature", "team", "user_tier", "model", "provider"):
        assert there.dimension_values(name) == here.dimension_values(name)


def dearest_users_of_features(here: Warehouse, there: Warehouse) -> None:
    """Of whole months, from the lists; of April and May, where days are cut, from what is summed by day."""
    assert here.has_table("feature_users")
    assert there.has_table("feature_users")
    for filters in (Filters(date(2026, 4, 1), date(2026, 4, 30)), Filters(date(2026, 1, 1), date(2026, 12, 31)), APRIL):
        for feature in here.dimension_values("feature")[:2]:
            frame = feature_detail(here, filters, feature, "user")
            assert len(frame) > 5
            assert differences(frame, feature_detail(there, filters, feature, "user")) == []


def shares_of_amounts_end_in_the_same_digit(here: Warehouse, there: Warehouse) -> None:
    """As the ledger splits a line: amounts as binary fractions, times a share, as decimals of twelve places; quotients and products too."""

    def asked(warehouse: Warehouse) -> list[dict[str, object]]:
        lines = warehouse.table("charges")
        keys = ["x_Source", "x_RowNumber", "ServiceName", "ChargePeriodStart", "x_UsageType", "ResourceId"]
        lines = lines.filter(lines.BilledCost > 0).mutate(share=lines.BilledCost / 7_919)
        parts = {
            f"part_{factor}": (lines.BilledCost.cast("float64") * factor * lines.share).cast("decimal(38, 12)").sum()
            for factor in (1, 3, 977, 12_345)
        }
        rows = lines.group_by(keys).agg(
            **parts, product=(lines.BilledCost * lines.BilledCost).cast("decimal(38, 12)").sum()
        )
        return warehouse.arrow(
            rows.order_by([ibis.asc(key, nulls_first=True) for key in [*keys, "part_1"]])
        ).to_pylist()

    expected = asked(here)
    assert len(expected) > 100
    assert asked(there) == expected


def exact_quantiles_and_distinct_counts(here: Warehouse, there: Warehouse) -> None:
    def asked(warehouse: Warehouse) -> dict[str, object]:
        calls = warehouse.table("calls")
        return warehouse.row(
            calls.agg(
                users=calls.user_id.nunique(), p95=calls.latency_ms.quantile(0.95), middle=calls.output_tokens.median(),
                blocks=calls.prefix_blocks.length().sum().cast("int64"),
            )
        )  # fmt: skip

    expected, answers = asked(here), asked(there)
    assert answers["p95"] == pytest.approx(expected["p95"], rel=1e-12)
    assert {**answers, "p95": None} == {**expected, "p95": None}


def places_of_a_list(here: Warehouse, there: Warehouse) -> None:
    """From the beginning, from the end, and beyond it, where there is nothing that equals anything."""

    def asked(warehouse: Warehouse) -> dict[str, object]:
        calls = warehouse.table("calls")
        calls = calls.filter(calls.prefix_blocks.length() > 0)
        blocks, size = calls.prefix_blocks, calls.prefix_blocks.length()
        places = {
            "first": ibis.literal(0),
            "last": ibis.literal(-1),
            "middle": size // 2,
            "beyond": size,
            "far": size + 7,
        }
        return warehouse.row(
            calls.agg(**{
                f"{name}_is_{other}": (blocks[place] == blocks[than]).ifelse(1, 0).sum().cast("int64")
                for name, place in places.items()
                for other, than in (("first", ibis.literal(0)), ("last", size - 1))
            })
        )  # fmt: skip

    expected = asked(here)
    assert expected["first_is_first"] == expected["last_is_last"] > 100
    assert expected["beyond_is_first"] == expected["far_is_last"] == 0
    assert asked(there) == expected


def calls_that_a_what_if_replays(here: Warehouse, there: Warehouse) -> None:
    """Every array of the workload, and every further column that a lever may ask for: the same numbers call by call, told apart by their ids."""
    expected, found = (_by_call(build_workload(warehouse, APRIL)) for warehouse in (here, there))
    assert len(set(expected["call_ids"])) == len(expected["call_ids"]) > 1000
    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        assert found[name] == values, name


def _by_call(workload: Workload) -> dict[str, list[Any]]:
    ids = workload.heavy.call_ids(np.arange(len(workload)))
    order = np.array(sorted(range(len(ids)), key=lambda place: str(ids[place])))
    heavy = workload.heavy
    arrays = ("started_at", "day", *TOKEN_CLASSES, "has_usage", "cost", "is_cache_hit", "weight", "money", "active")
    told: dict[str, list[Any]] = {name: _known(getattr(workload, name)[order]) for name in arrays}
    told |= {name: _known(heavy.numbers(name)[order]) for name in NUMBERS}
    told |= {name: [(*workload.names[name], None)[code] for code in getattr(workload, name)[order]] for name in CODED}
    told["model"] = [workload.models[code] for code in workload.model[order]]
    for name in (*CODES, "label:complexity"):
        coded = heavy.coded(name)
        told[name] = [(*coded.names, None)[code] for code in coded.codes[order]]
    # Keys and users are numbers of each engine's own: who is the same as whom is what counts.
    told["user"] = _alike(workload.user[order], -1)
    told |= {name: _alike(heavy.keys(name)[order], 0) for name in KEYS}
    blocks = heavy.prefix_blocks()
    told["prefix_blocks"] = [blocks.values[blocks.offsets[i] : blocks.offsets[i + 1]].tolist() for i in order]
    told["call_ids"] = [ids[place] for place in order]
    told["texts"] = [*heavy.texts().names, *heavy.embedders()]
    told["period"] = [workload.window, workload.population, workload.unknown_calls]
    return told


def _known(values: np.ndarray) -> list[Any]:
    return [None if value != value else value for value in values.tolist()]


def _alike(values: np.ndarray, unknown: int) -> list[int | None]:
    first: dict[int, int] = {}
    return [None if value == unknown else first.setdefault(value, len(first)) for value in values.tolist()]


def situations_and_what_comes_of_them(here: Warehouse, there: Warehouse) -> None:
    """What a what-if starts from: notes, cost lines, utilization and prices; and what two levers make of it."""
    expected, found = (build_situation(warehouse, APRIL) for warehouse in (here, there))
    assert found.notes == expected.notes
    lines, there_lines = expected.infrastructure.lines, found.infrastructure.lines
    assert [_named(line) for line in there_lines] == [_named(line) for line in lines]
    assert len(lines) > 5
    for one, other in zip(lines, there_lines, strict=True):
        np.testing.assert_allclose(other.daily, one.daily, rtol=1e-12)
        assert other.hours == (None if one.hours is None else pytest.approx(one.hours, rel=1e-12))
    assert len(expected.utilization) > 100
    assert found.utilization.to_csv() == expected.utilization.to_csv()
    levers = (Batch(share=1.0, with_users=True), PromptCache(ttl=3600.0))
    falls = [run(situation, levers, draws=20) for situation in (expected, found)]
    assert all(step.added for step in falls[0].steps)
    told = [[fall.today, *(amount for step in fall.steps for amount in (step.added, step.alone))] for fall in falls]
    assert told[1] == told[0]


def _named(line: CostLine) -> tuple[object, ...]:
    return (line.category, line.service, line.resource, line.provider, line.feature, line.kind, line.model)


CHECKS: tuple[Check, ...] = (
    what_pages_ask_first,
    dearest_users_of_features,
    shares_of_amounts_end_in_the_same_digit,
    exact_quantiles_and_distinct_counts,
    places_of_a_list,
    calls_that_a_what_if_replays,
    situations_and_what_comes_of_them,
)

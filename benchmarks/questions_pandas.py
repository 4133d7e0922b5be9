"""The ten questions in pandas: every column that they need is held in memory, text as categories, money as whole units.

Integers make pandas' sums exact (a float would not be, and `Decimal` objects would take minutes).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from benchmarks.answers import Row, dollars
from benchmarks.catalogue import ESTIMATED_PROVIDERS, TOP_FEATURE, UNITS
from benchmarks.peers import InProcess
from benchmarks.questions_parquet import connect
from benchmarks.questions_sql import with_expected, with_shares
from benchmarks.rows import Rows

DAY_MICROS = 86_400_000_000
FIVE_MINUTES = 300_000_000
_EPOCH = date(1970, 1, 1)

TEXTS = ("feature", "model", "provider", "user_tier", "operation", "processing", "user_id")


class Frames:
    """Calls, infrastructure bill and dated prices as frames, read through a cursor that has them as tables."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        for name in TEXTS:
            # As an enumeration a text comes as a category, without a string per row.
            cursor.execute(
                f"CREATE OR REPLACE TYPE kinds_of_{name} AS ENUM "
                f"(SELECT DISTINCT {name} FROM calls WHERE {name} IS NOT NULL ORDER BY 1)"
            )
        texts = ", ".join(f"CAST({name} AS kinds_of_{name}) AS {name}" for name in TEXTS)
        numbers = cursor.execute(
            f"""SELECT epoch_us(started_at) AS moment, latency_ms, {_units("cost")} AS cost, cost IS NOT NULL AS is_known,
                       {_units("revenue")} AS revenue, uncached_input_tokens AS uncached, coalesce(cache_read_tokens, 0) AS cached,
                       coalesce(output_tokens, 0) AS output, hash(input_hash) AS input, coalesce(prefix_blocks[-1], 0) AS prefix,
                       {texts}
                FROM calls"""
        ).df()
        numbers["day"] = (numbers["moment"] // DAY_MICROS).astype("int32")
        self.calls = numbers
        self.infrastructure = cursor.execute(
            f"""SELECT CAST(epoch_us(ChargePeriodStart) // {DAY_MICROS} AS INTEGER) AS day,
                       CAST(sum(EffectiveCost) * 1000000 AS BIGINT) AS micros
                FROM charges WHERE x_CostCategory NOT IN ('LLM API', 'Embedding') GROUP BY 1"""
        ).df()
        self.prices = cursor.execute(
            f"""SELECT model, processing, epoch_us(valid_from) AS valid_from, epoch_us(valid_to) AS valid_to,
                       {_units("input")} AS input, {_units("cached")} AS cached, {_units("output")} AS output FROM dated_prices"""
        ).df()

    @property
    def bytes(self) -> int:
        """Memory of the calls' columns."""
        return int(self.calls.memory_usage(deep=True).sum())


def _units(column: str) -> str:
    return f"CAST(coalesce(CAST({column} AS DECIMAL(38, 10)), 0) * {UNITS} AS BIGINT)"


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=int(number))


def _name(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _cost(units: int, known: int) -> Decimal | None:
    """Unknown as long as no part is known."""
    return dollars(units) if known else None


def _estimated(calls: pd.DataFrame) -> pd.DataFrame:
    return calls[calls["provider"].isin(ESTIMATED_PROVIDERS)]


def _grouped(calls: pd.DataFrame, keys: list[str]) -> Any:
    return calls.groupby(keys, observed=True, dropna=False, sort=False)


def daily_cost(frames: Frames) -> list[Row]:
    """Q1."""
    sums = _grouped(_estimated(frames.calls), ["day", "feature"])[["cost", "is_known"]].sum()
    return [(_day(day), _name(feature), _cost(*row)) for (day, feature), row in _items(sums)]


def shares(frames: Frames) -> list[Row]:
    """Q2."""
    sums = _grouped(_estimated(frames.calls), ["feature"]).agg(
        cost=("cost", "sum"), known=("is_known", "sum"), calls=("cost", "size")
    )
    return with_shares([(_name(name), _cost(cost, known), int(calls)) for name, (cost, known, calls) in _items(sums)])


def daily_users(frames: Frames) -> list[Row]:
    """Q3."""
    calls = frames.calls
    users = calls.groupby("day")["user_id"].nunique()
    sums = _estimated(calls).groupby("day")[["cost", "is_known"]].sum()
    costs = {day: _cost(*row) for day, row in _items(sums)}
    return [(_day(day), costs.get(day), count) for day, count in zip(users.index.tolist(), users.tolist(), strict=True)]


def allocated_margin(frames: Frames) -> list[Row]:
    """Q4."""
    calls = frames.calls
    columns = calls[["day", "feature", "user_tier", "cost", "is_known", "revenue"]].assign(
        tokens=calls["uncached"] + calls["cached"] + calls["output"]
    )
    used = (
        _grouped(columns, ["day", "feature", "user_tier"])[["tokens", "cost", "is_known", "revenue"]]
        .sum()
        .reset_index()
    )
    used["whole"] = used.groupby("day")["tokens"].transform("sum")
    used = used.merge(frames.infrastructure, on="day")
    used["part"] = used["micros"] * used["tokens"] // used["whole"]
    sums = _grouped(used, ["feature", "user_tier"])[["cost", "is_known", "revenue", "part"]].sum()
    return [
        (_name(feature), _name(tier), _cost(cost, known), dollars(revenue), int(part))
        for (feature, tier), (cost, known, revenue, part) in _items(sums)
    ]


def latency(frames: Frames) -> list[Row]:
    """Q5."""
    groups = _grouped(frames.calls, ["feature", "model"])
    sums = groups.agg(calls=("cost", "size"), cost=("cost", "sum"), known=("is_known", "sum"))
    quantiles = groups["latency_ms"].quantile([0.5, 0.95, 0.99]).round(3).unstack()
    by_key = {(_name(f), _name(m)): tuple(row) for (f, m), row in _items(quantiles)}
    return [
        (_name(f), _name(m), int(calls), _cost(cost, known), *by_key[(_name(f), _name(m))])
        for (f, m), (calls, cost, known) in _items(sums)
    ]


def trailing(frames: Frames) -> list[Row]:
    """Q6."""
    calls = _estimated(frames.calls)
    calls = calls[calls["is_known"]]
    sums = _grouped(calls, ["feature", "day"])["cost"].sum()
    known = np.union1d(
        frames.calls.loc[frames.calls["is_known"], "day"].unique(), frames.infrastructure["day"].unique()
    )
    wide = sums.unstack(0).reindex(known)
    rows = []
    for name in wide.columns:
        series = wide[name]
        series = series.loc[series.first_valid_index() :].fillna(0).astype("int64")
        # A rolling sum of pandas is a float; differences of running sums of integers are exact.
        running = np.concatenate([[0], series.to_numpy().cumsum()])
        before = running[7:-1] - running[:-8]
        values = series.to_numpy()[7:]
        for day, cost, total in zip(series.index[7:], values, before, strict=True):
            if 35 * cost > 6 * total:
                rows.append((_name(name) or "(untagged)", _day(day), dollars(cost), dollars(total)))
    return with_expected(rows)


def dearest_users(frames: Frames) -> list[Row]:
    """Q7."""
    calls = frames.calls[frames.calls["feature"] == TOP_FEATURE]
    sums = calls.groupby("user_id", observed=True).agg(
        cost=("cost", "sum"), known=("is_known", "sum"), calls=("cost", "size")
    )
    sums = sums.reset_index().assign(missing=lambda t: t["known"] == 0)
    sums = sums.sort_values(["missing", "cost", "user_id"], ascending=[True, False, True]).head(100)
    return [
        (str(user), _cost(cost, known), int(count))
        for user, cost, known, count in sums[["user_id", "cost", "known", "calls"]].itertuples(index=False)
    ]


def embedded_again(frames: Frames) -> list[Row]:
    """Q8."""
    calls = frames.calls
    embedded = calls.loc[calls["operation"] == "embeddings", ["feature", "input", "day", "cost", "is_known"]]
    again = embedded[embedded["day"] > embedded.groupby("input")["day"].transform("min")]
    sums = _grouped(again, ["feature"]).agg(calls=("cost", "size"), cost=("cost", "sum"), known=("is_known", "sum"))
    return [(_name(name), int(count), _cost(cost, known)) for name, (count, cost, known) in _items(sums)]


def prefix_replay(frames: Frames) -> list[Row]:
    """Q9."""
    calls = frames.calls
    chat = calls.loc[calls["operation"] == "chat", ["model", "prefix", "moment", "uncached", "cached"]]
    chat = chat.sort_values("moment")
    gap = chat["moment"] - chat.groupby(["model", "prefix"], observed=True)["moment"].shift()
    hit = gap <= FIVE_MINUTES
    chat = chat.assign(hit=hit, tokens=(chat["uncached"] + chat["cached"]).where(hit, 0))
    sums = chat.groupby("model", observed=True).agg(
        calls=("hit", "size"), hits=("hit", "sum"), tokens=("tokens", "sum")
    )
    return [
        (_name(name), int(count), int(hits), int(tokens) if hits else None)
        for name, (count, hits, tokens) in _items(sums)
    ]


def repriced(frames: Frames) -> list[Row]:
    """Q10."""
    calls = frames.calls[["model", "processing", "moment", "uncached", "cached", "output"]]
    total: dict[str, int] = {}
    keys = calls.groupby(["model", "processing"], observed=True).indices
    for _, (model, processing, start, end, uncached, cached, output) in _items(frames.prices):
        places = keys.get((model, processing))
        if places is None:
            continue
        rows = calls.iloc[places]
        rows = rows[(rows["moment"] >= start) & (rows["moment"] < end)]
        if len(rows):
            cost = (rows["uncached"] * uncached + rows["cached"] * cached + rows["output"] * output).sum()
            total[model] = total.get(model, 0) + int(cost)
    return [(model, dollars(units)) for model, units in total.items()]


def _items(frame: pd.DataFrame) -> list[tuple[Any, tuple[Any, ...]]]:
    """Index and values of every row of a small frame, values as they are in their columns."""
    return list(zip(frame.index, zip(*(frame[name].tolist() for name in frame.columns), strict=True), strict=True))


ANSWERS: dict[str, Callable[[Frames], list[Row]]] = {
    "Q1": daily_cost,
    "Q2": shares,
    "Q3": daily_users,
    "Q4": allocated_margin,
    "Q5": latency,
    "Q6": trailing,
    "Q7": dearest_users,
    "Q8": embedded_again,
    "Q9": prefix_replay,
    "Q10": repriced,
}


def open_engine(rows: Rows) -> InProcess:
    """All columns that the questions need, in memory."""
    connection = connect(rows, "pandas")
    frames = Frames(connection.cursor())
    connection.close()
    return InProcess(lambda question: ANSWERS[question](frames), disk_bytes=0, column_bytes=frames.bytes)

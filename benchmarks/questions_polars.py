"""The ten questions in Polars: lazy over the Parquet files of a day, answered by its streaming engine.

Money is Polars' decimal, except where amounts are multiplied: there whole units, as in pandas. Polars sums nothing to 0, hence `_money`.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from benchmarks.answers import Row, dollars
from benchmarks.catalogue import ESTIMATED_PROVIDERS, TOP_FEATURE, UNITS
from benchmarks.peers import InProcess
from benchmarks.questions_sql import with_expected, with_shares
from benchmarks.rows import Rows

FIVE_MINUTES = 300_000_000
TOKENS = ("uncached_input_tokens", "cache_read_tokens", "output_tokens")


def _money(name: str, where: pl.Expr | None = None) -> pl.Expr:
    """Sum of what is known; unknown as long as no part is."""
    column = pl.col(name) if where is None else pl.col(name).filter(where)
    return pl.when(column.count() > 0).then(column.sum()).alias(name)


def _collect(frame: pl.LazyFrame) -> list[Row]:
    return frame.collect(engine="streaming").rows()


class Questions:
    """The files as lazy frames, and every question as a method."""

    def __init__(self, rows: Rows) -> None:
        self.calls = pl.scan_parquet(rows.calls / "*.parquet")
        self.charges = pl.scan_parquet(rows.charges)
        self.prices = pl.scan_parquet(rows.prices)

    @property
    def _dated(self) -> pl.LazyFrame:
        return self.calls.with_columns(day=pl.col("started_at").dt.date())

    @property
    def _estimated(self) -> pl.LazyFrame:
        return self._dated.filter(pl.col("provider").is_in(ESTIMATED_PROVIDERS))

    def daily_cost(self) -> list[Row]:
        """Q1."""
        return _collect(self._estimated.group_by("day", "feature").agg(_money("cost")))

    def shares(self) -> list[Row]:
        """Q2."""
        return with_shares(_collect(self._estimated.group_by("feature").agg(_money("cost"), calls=pl.len())))

    def daily_users(self) -> list[Row]:
        """Q3."""
        estimated = pl.col("provider").is_in(ESTIMATED_PROVIDERS)
        return _collect(self._dated.group_by("day").agg(_money("cost", estimated), users=pl.col("user_id").n_unique()))

    def allocated_margin(self) -> list[Row]:
        """Q4."""
        tokens = sum((pl.col(name).fill_null(0) for name in TOKENS), pl.lit(0)).sum()
        used = self._dated.group_by("day", "feature", "user_tier").agg(
            _money("cost"), _money("revenue"), tokens=tokens.cast(pl.Int64)
        )
        billed = (
            self.charges.filter(~pl.col("x_CostCategory").is_in(["LLM API", "Embedding"]))
            .group_by(day=pl.col("ChargePeriodStart").dt.date())
            .agg(micros=(pl.col("EffectiveCost").sum() * 1_000_000).cast(pl.Int64))
        )
        used = used.with_columns(whole=pl.col("tokens").sum().over("day")).join(billed, on="day")
        part = pl.col("micros") * pl.col("tokens") // pl.col("whole")
        return _collect(used.group_by("feature", "user_tier").agg(_money("cost"), _money("revenue"), part=part.sum()))

    def latency(self) -> list[Row]:
        """Q5."""
        quantiles = (
            pl.col("latency_ms").quantile(q, interpolation="linear").round(3).alias(f"q{q}") for q in (0.5, 0.95, 0.99)
        )
        return _collect(self.calls.group_by("feature", "model").agg(pl.len(), _money("cost"), *quantiles))

    def trailing(self) -> list[Row]:
        """Q6."""
        daily = (
            self._estimated.filter(pl.col("cost").is_not_null()).group_by("day", "feature").agg(pl.col("cost").sum())
        )
        found = daily.collect(engine="streaming")
        known = pl.concat(
            [
                self._dated.filter(pl.col("cost").is_not_null()).select("day").unique(),
                self.charges.select(day=pl.col("ChargePeriodStart").dt.date()).unique(),
            ]
        )
        days = known.unique().sort("day").collect(engine="streaming")["day"]
        rows: list[Row] = []
        for (name,), series in found.group_by("feature"):
            costs: dict[date, Any] = dict(series.select("day", "cost").rows())
            span = [day for day in days if day >= min(costs)]
            for place in range(7, len(span)):
                before = sum((costs.get(day, Decimal(0)) for day in span[place - 7 : place]), Decimal(0))
                cost = costs.get(span[place], Decimal(0))
                if 35 * cost > 6 * before:
                    rows.append((name or "(untagged)", span[place], cost, before))
        return with_expected(rows)

    def dearest_users(self) -> list[Row]:
        """Q7."""
        sums = (
            self.calls.filter(pl.col("feature") == TOP_FEATURE).group_by("user_id").agg(_money("cost"), calls=pl.len())
        )
        return _collect(sums.sort("cost", "user_id", descending=[True, False], nulls_last=True).head(100))

    def embedded_again(self) -> list[Row]:
        """Q8."""
        embedded = self._dated.filter(pl.col("operation") == "embeddings").select(
            "feature", "input_hash", "day", "cost"
        )
        first = embedded.group_by("input_hash").agg(first=pl.col("day").min())
        again = embedded.join(first, on="input_hash").filter(pl.col("day") > pl.col("first"))
        return _collect(again.group_by("feature").agg(pl.len(), _money("cost")))

    def prefix_replay(self) -> list[Row]:
        """Q9."""
        chat = self.calls.filter(pl.col("operation") == "chat").select(
            "model",
            prefix=pl.col("prefix_blocks").list.last(),
            moment=pl.col("started_at").dt.epoch("us"),
            tokens=pl.col("uncached_input_tokens") + pl.col("cache_read_tokens").fill_null(0),
        )
        # Sorted as a whole: the calls of one prefix then lie one after the other, which is far quicker than a window for each of them.
        chat = chat.sort("model", "prefix", "moment")
        same = (pl.col("model") == pl.col("model").shift()) & (pl.col("prefix") == pl.col("prefix").shift())
        hit = (same & (pl.col("moment") - pl.col("moment").shift() <= FIVE_MINUTES)).fill_null(False)
        sums = (
            chat.with_columns(hit=hit)
            .group_by("model")
            .agg(pl.len(), hits=pl.col("hit").sum(), tokens=pl.col("tokens").filter("hit").sum())
        )
        return [(name, calls, hits, tokens if hits else None) for name, calls, hits, tokens in _collect(sums)]

    def repriced(self) -> list[Row]:
        """Q10."""
        units = [(pl.col(name) * UNITS).cast(pl.Int64) for name in ("input", "cached", "output")]
        prices = self.prices.with_columns(units)
        calls = self.calls.select("model", "processing", "started_at", *(pl.col(name).fill_null(0) for name in TOKENS))
        joined = calls.join(prices, on=["model", "processing"]).filter(
            pl.col("started_at") >= pl.col("valid_from"), pl.col("started_at") < pl.col("valid_to")
        )
        cost = sum(pl.col(t) * pl.col(p) for t, p in zip(TOKENS, ("input", "cached", "output"), strict=True))
        return [
            (name, dollars(cost)) for name, cost in _collect(joined.group_by("model").agg(cost.sum().alias("cost")))
        ]


METHODS = {
    "Q1": Questions.daily_cost,
    "Q2": Questions.shares,
    "Q3": Questions.daily_users,
    "Q4": Questions.allocated_margin,
    "Q5": Questions.latency,
    "Q6": Questions.trailing,
    "Q7": Questions.dearest_users,
    "Q8": Questions.embedded_again,
    "Q9": Questions.prefix_replay,
    "Q10": Questions.repriced,
}


def open_engine(rows: Rows) -> InProcess:
    """Polars on the files."""
    questions = Questions(rows)
    return InProcess(
        lambda question: METHODS[question](questions), disk_bytes=sum(path.stat().st_size for path in rows.days)
    )

"""The ten questions as Percall answers them: by the function of the view that shows the answer, else as an Ibis expression over
the same warehouse.

Every function takes the open warehouse and returns rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import ibis

from analytics.anomalies import KIND as RULE
from analytics.anomalies import anomalies
from analytics.costs import costs
from analytics.feature_detail import feature_detail
from analytics.features import features
from analytics.filters import Filters
from analytics.frames import rows_of
from analytics.ledger import ledger
from analytics.unit_economics import unit_economics
from benchmarks.answers import Row
from benchmarks.catalogue import DAYS, ESTIMATED_PROVIDERS, FIRST_DAY, TOP_FEATURE
from benchmarks.measuring import timed
from benchmarks.peers import InProcess
from benchmarks.rows import Rows, make_dated_prices, open_limited
from warehouse.reader import Warehouse

ALL_DAYS = Filters(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1))
ESTIMATED = Filters(ALL_DAYS.start, ALL_DAYS.end, where=(("provider", ESTIMATED_PROVIDERS),))
MODEL_CATEGORIES = ("LLM API", "Embedding")


def daily_cost(warehouse: Warehouse) -> list[Row]:
    """Q1: day, feature, cost."""
    frame = costs(warehouse, ESTIMATED, ("feature",))
    return list(zip(frame["period"], frame["feature"], frame["cost"], strict=True))


def shares(warehouse: Warehouse) -> list[Row]:
    """Q2: feature, cost, calls and the shares of both."""
    frame = features(warehouse, ESTIMATED)
    names = ("feature", "cost", "calls", "cost_share", "call_share")
    return list(zip(*(frame[name] for name in names), strict=True))


def daily_users(warehouse: Warehouse) -> list[Row]:
    """Q3: day, cost, distinct users. The view also divides one by the other."""
    frame = unit_economics(warehouse, ESTIMATED)
    return list(zip(frame["period"], frame["cost"], frame["dau"], strict=True))


def allocated_margin(warehouse: Warehouse) -> list[Row]:
    """Q4: feature, tier, cost, revenue and the part, in millionths of a dollar, of each day's infrastructure bill by tokens."""
    calls, lines = warehouse.table("calls_daily"), warehouse.table("charges_daily")
    tokens = (
        calls[name].sum().fill_null(0) for name in ("uncached_input_tokens", "cache_read_tokens", "output_tokens")
    )
    used = calls.group_by(day=calls.date, feature=calls.feature, user_tier=calls.user_tier).agg(
        tokens=sum(tokens).cast("int64"), cost=calls.cost.sum(), revenue=calls.revenue.sum()
    )
    infrastructure = lines.filter(lines.x_CostCategory.notin(MODEL_CATEGORIES))
    billed = infrastructure.group_by(day=infrastructure.date).agg(
        micros=(infrastructure.effective.sum() * 1_000_000).cast("int64")
    )
    whole = used.group_by("day").agg(all_tokens=used.tokens.sum().cast("decimal(38, 0)").cast("int64"))
    joined = used.inner_join(whole, "day").inner_join(billed, "day")
    joined = joined.mutate(part=joined.micros * joined.tokens // joined.all_tokens)
    sums = joined.group_by(["feature", "user_tier"]).agg(
        cost=joined.cost.sum(), revenue=joined.revenue.sum(), part=joined.part.sum()
    )
    return _rows(warehouse, sums)


def latency(warehouse: Warehouse) -> list[Row]:
    """Q5: feature, model, calls, cost, and the 50th, 95th and 99th percentile of milliseconds."""
    calls = warehouse.table("calls")
    sums = calls.group_by(["feature", "model"]).agg(
        calls=calls.count(), cost=calls.cost.sum(), quantiles=calls.latency_ms.quantile([0.5, 0.95, 0.99])
    )
    return [(*row[:4], *(round(value, 3) for value in row[4])) for row in _rows(warehouse, sums)]


def trailing(warehouse: Warehouse) -> list[Row]:
    """Q6: series, day, cost and the mean of the seven days before, where the cost is more than 20 % above it."""
    frame = anomalies(warehouse, ESTIMATED)
    frame = frame[frame["series"].str.startswith("feature:") & (frame["kind"] == RULE)]
    return list(zip(frame["series"], frame["date"], frame["actual"], frame["expected"], strict=True))


def dearest_users(warehouse: Warehouse) -> list[Row]:
    """Q7: user, cost, calls. The view gives all users, the dearest first."""
    frame = feature_detail(warehouse, ALL_DAYS, TOP_FEATURE, "user").head(100)
    return list(zip(frame["user"], frame["cost"], frame["calls"], strict=True))


def embedded_again(warehouse: Warehouse) -> list[Row]:
    """Q8: feature, calls and their cost, of inputs that had been embedded on an earlier day."""
    calls = warehouse.table("calls")
    embedded = calls.filter(calls.operation == "embeddings").select(
        "feature", "input_hash", "cost", day=calls.started_at.date()
    )
    first = embedded.group_by("input_hash").agg(first_day=embedded.day.min())
    again = embedded.inner_join(first, "input_hash").filter(lambda t: t.day > t.first_day)
    return _rows(warehouse, again.group_by("feature").agg(calls=again.count(), cost=again.cost.sum()))


def prefix_replay(warehouse: Warehouse) -> list[Row]:
    """Q9: model, calls, calls whose prefix the model saw within five minutes, and their input tokens."""
    calls = warehouse.table("calls")
    chat = calls.filter(calls.operation == "chat")
    prefix = chat.prefix_blocks[chat.prefix_blocks.length() - 1]
    chat = chat.select(
        "model", "started_at", prefix=prefix, tokens=chat.uncached_input_tokens + chat.cache_read_tokens.fill_null(0)
    )
    before = chat.started_at.lag().over(ibis.window(group_by=[chat.model, chat.prefix], order_by=chat.started_at))
    chat = chat.mutate(hit=(chat.started_at.delta(before, unit="microsecond") <= 300_000_000).fill_null(False))
    sums = chat.group_by("model").agg(
        calls=chat.count(),
        hits=chat.hit.ifelse(1, 0).sum(),
        tokens=chat.tokens.sum(where=chat.hit),
    )
    return _rows(warehouse, sums)


def repriced(warehouse: Warehouse) -> list[Row]:
    """Q10: model and the cost of its calls by a dated price table, as an interval join."""
    calls, prices = warehouse.table("calls"), warehouse.table("dated_prices")
    joined = calls.inner_join(
        prices,
        [
            calls.model == prices.model,
            calls.processing == prices.processing,
            calls.started_at >= prices.valid_from,
            calls.started_at < prices.valid_to,
        ],
    )
    cost = (
        joined.uncached_input_tokens * joined.input
        + joined.cache_read_tokens.fill_null(0) * joined.cached
        + joined.output_tokens.fill_null(0) * joined.output
    )
    return _rows(warehouse, joined.group_by("model").agg(cost=cost.sum()))


def _rows(warehouse: Warehouse, expression: ibis.Table) -> list[Row]:
    return [tuple(row.values()) for row in rows_of(warehouse, expression)]


ANSWERS: dict[str, Callable[[Warehouse], list[Row]]] = {
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
    """The product on its store, the ledger of the snapshot built: pages do that once, when they open a snapshot.

    Pages also remember answers of equal questions; here nothing is remembered, so that every answer is worked out anew.
    """
    opening, warehouse = timed(lambda: open_limited(rows.store, rows.folder / "spill-percall"))
    building, _ = timed(lambda: ledger(warehouse))
    make_dated_prices(warehouse.connection.cursor())
    assert warehouse.remember is None, "answers would be remembered"
    return InProcess(
        lambda question: ANSWERS[question](warehouse),
        disk_bytes=sum(file.bytes for file in warehouse.snapshot.files) if warehouse.snapshot else 0,
        open_seconds=opening,
        ledger_seconds=building,
    )

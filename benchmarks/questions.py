"""The ten questions, asked in turn of Percall, of DuckDB by hand and of pandas, in one process, on one store.

All answers must be equal to the last digit before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.ledger import ledger
from benchmarks import questions_pandas, questions_product, questions_sql
from benchmarks.answers import Row, compare, dollars
from benchmarks.catalogue import FIRST_DAY, MODELS, PRICE_CHANGE_DAY
from benchmarks.measuring import median, timed
from warehouse.configuration import Configuration
from warehouse.reader import Warehouse, open_current

TITLES = {
    "Q1": "daily cost by feature",
    "Q2": "share of cost beside share of calls, by feature",
    "Q3": "cost and distinct users by day",
    "Q4": "margin by feature and tier, infrastructure bill allocated by tokens",
    "Q5": "p50, p95, p99 latency and cost by feature and model",
    "Q6": "days above the trailing seven-day mean, by feature",
    "Q7": "dearest 100 users of a feature",
    "Q8": "inputs embedded again on a later day: wasted cost",
    "Q9": "prompt-cache replay: same prefix and model within five minutes",
    "Q10": "repricing by a dated price table with cached tokens and batch",
}
ENGINES = ("Percall", "DuckDB by hand", "pandas")
MEMORY_LIMIT = "4GB"


def measure_questions(store: Path, repeats: int = 5) -> dict[str, Any]:
    """Ask everything once and compare, then `repeats` times, the engines taking turns.

    Returns seconds to open the snapshot and to build its ledger, memory of pandas' columns in bytes, and per question the way Percall
    answers it, the number of rows and every engine's median seconds. Raises DifferentAnswersError.
    """
    opening, warehouse = timed(lambda: open_current(store, Configuration()))
    warehouse.connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    building, _ = timed(lambda: ledger(warehouse))
    make_dated_prices(warehouse)
    reading, frames = timed(lambda: questions_pandas.Frames(warehouse.connection.cursor()))
    results: dict[str, Any] = {
        "open_seconds": opening,
        "ledger_seconds": building,
        "pandas_seconds": reading,
        "pandas_bytes": frames.bytes,
        "repeats": repeats,
        "questions": {},
    }
    for question in TITLES:
        ask = engines(warehouse, frames, question)
        answers = {engine: function() for engine, function in ask.items()}
        compare(question, answers)
        seconds: dict[str, list[float]] = {engine: [] for engine in ask}
        for _ in range(repeats):
            for engine, function in ask.items():
                seconds[engine].append(timed(function)[0])
        results["questions"][question] = {
            "how": questions_product.ANSWERS[question][0],
            "rows": len(answers["Percall"]),
            "seconds": {engine: median(values) for engine, values in seconds.items()},
        }
    return results


def engines(warehouse: Warehouse, frames: questions_pandas.Frames, question: str) -> dict[str, Callable[[], list[Row]]]:
    """How each engine answers a question."""
    return {
        "Percall": lambda: questions_product.ANSWERS[question][1](warehouse),
        "DuckDB by hand": lambda: questions_sql.answer(warehouse.connection.cursor(), question),
        "pandas": lambda: questions_pandas.ANSWERS[question](frames),
    }


def make_dated_prices(warehouse: Warehouse) -> None:
    """The table `dated_prices` of the open snapshot: dollars per token of every priced model, standard and batch, before and after a change.

    Models carry the names that the store gave them. After the change everything costs a fifth less.
    """
    change = datetime.combine(FIRST_DAY + timedelta(days=PRICE_CHANGE_DAY), datetime.min.time())
    cursor = warehouse.connection.cursor()
    names = dict(cursor.execute("SELECT DISTINCT model_raw, model FROM calls").fetchall())
    cursor.execute(
        """CREATE OR REPLACE TABLE dated_prices (model VARCHAR, processing VARCHAR, valid_from TIMESTAMP, valid_to TIMESTAMP,
            input DECIMAL(12, 10), cached DECIMAL(12, 10), output DECIMAL(12, 10))"""
    )
    rows = []
    for model in MODELS:
        for processing, divisor in (("standard", 10), ("batch", 20)):
            for start, end, tenths in ((datetime(2000, 1, 1), change, 10), (change, datetime(9999, 12, 31), 8)):
                if model.priced and model.name in names:
                    units = (amount * tenths // divisor for amount in (model.input, model.cached, model.output))
                    rows.append((names[model.name], processing, start, end, *(dollars(unit) for unit in units)))
    cursor.executemany("INSERT INTO dated_prices VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

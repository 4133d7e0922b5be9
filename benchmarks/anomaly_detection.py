"""How often the anomaly detectors are right: precision, recall, delay and false alarms on generated series with known events.

    python -m benchmarks.anomaly_detection                  writes docs/benchmarks-anomalies.md
    python -m benchmarks.anomaly_detection --seed 9 --series 100 --output -

Every series is half a year of daily cost: growth, a weekend drop, noise, in some a legitimate monthly charge, in half an incomplete
end; and at most two events: a spike, a level shift, a slow leak or a new service. Flags at most three days apart are one alert; an alert
is right when it overlaps an event, up to three days after its end. The first 60 days hold no event and are not scored.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import numpy as np

from analytics.anomalies_plain import plain_flags

DAYS = 180
FIRST_SCORED = 60
GAP = 3
START = date(2026, 1, 5)
KINDS = ("spike", "level", "leak", "new service")
DROPS = (0.0, 0.15, 0.35, 0.60)
SEEDS = (11, 12, 13)
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Event:
    """What happened to a series from day `start` to the day before `end`."""

    series: str
    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Labelled:
    """Series by name and day, their events and weekend drops."""

    costs: dict[str, dict[date, Decimal]]
    events: tuple[Event, ...]
    weekend_drop: dict[str, float]


@dataclass(frozen=True)
class Scored:
    """precision = right alerts / alerts, recall = events found / events, false alarms per series and month; by kind: recall and days until found."""

    alerts: int
    right: int
    events: int
    found: int
    false_per_month: float
    by_kind: dict[str, tuple[int, int, float | None]]
    false_by_drop: dict[float, float]

    @property
    def precision(self) -> float:
        """Part of the alerts that are right."""
        return self.right / self.alerts if self.alerts else 1.0

    @property
    def recall(self) -> float:
        """Part of the events that were found."""
        return self.found / self.events if self.events else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def generate(series: int, seed: int) -> Labelled:
    """Labelled series, the same for the same seed."""
    random = np.random.default_rng(seed)
    costs, events, drops = {}, [], {}
    for number in range(series):
        name = f"s{number:04d}"
        drops[name] = float(random.choice(DROPS))
        values = _ordinary(random, drops[name])
        for event in _events(random, name):
            values = _struck(random, values, event)
            events.append(event)
        if random.random() < 0.5:
            values[-1] *= random.uniform(0.2, 0.6)
            values[-2] *= random.uniform(0.7, 0.95)
        costs[name] = {START + timedelta(days=day): Decimal(f"{value:.4f}") for day, value in enumerate(values)}
    return Labelled(costs, tuple(events), drops)


def _ordinary(random: np.random.Generator, drop: float) -> np.ndarray:
    base, growth = 10 ** random.uniform(1, 4), random.choice([0.0, 0.002, 0.005])
    noise, shocks = np.zeros(DAYS), random.normal(0, random.choice([0.03, 0.06, 0.12]), DAYS)
    for day in range(1, DAYS):
        noise[day] = 0.3 * noise[day - 1] + shocks[day]
    days = np.arange(DAYS)
    week = np.where(days % 7 >= 5, 1 - drop, 1.0) * np.exp(random.normal(0, 0.04, 7))[days % 7]
    values = base * np.exp(growth * days + noise) * week
    if random.random() < 0.3:
        values[days % 30 == 2] += base * random.uniform(0.1, 0.3)
    return np.asarray(values)


def _events(random: np.random.Generator, name: str) -> list[Event]:
    found: list[Event] = []
    for _ in range(int(random.choice([0, 1, 2], p=[0.2, 0.6, 0.2]))):
        kind = str(random.choice(KINDS, p=[0.35, 0.3, 0.25, 0.1]))
        start = int(random.integers(FIRST_SCORED, 145))
        length = {"spike": int(random.integers(1, 3)), "leak": int(random.integers(20, 41))}.get(kind, 14)
        if all(start > other.end + 30 or start + length < other.start - 30 for other in found):
            found.append(Event(name, kind, start, start + length))
    return found


def _struck(random: np.random.Generator, values: np.ndarray, event: Event) -> np.ndarray:
    struck, level = values.copy(), float(np.median(values[max(0, event.start - 28) : event.start]))
    if event.kind == "spike":
        struck[event.start : event.end] *= random.uniform(1.4, 3.0)
    elif event.kind == "level":
        struck[event.start :] *= 1 + random.uniform(0.25, 1.0)
    elif event.kind == "new service":
        struck[event.start :] += level * random.uniform(0.5, 2.0)
    else:
        top = random.uniform(0.4, 1.2)
        ramp = np.minimum((np.arange(DAYS - event.start) + 1) / (event.end - event.start), 1.0)
        struck[event.start :] *= 1 + top * ramp
    return struck


def score(labelled: Labelled, flagged: Iterable[tuple[str, date]]) -> Scored:
    """How right flagged days are."""
    by_series: dict[str, list[int]] = defaultdict(list)
    for series, day in sorted(set(flagged)):
        if (day - START).days >= FIRST_SCORED:
            by_series[series].append((day - START).days)
    first_hit: dict[Event, int] = {}
    alerts = right = 0
    false: dict[str, int] = defaultdict(int)
    for series, days in by_series.items():
        own = [event for event in labelled.events if event.series == series]
        for first, last in _merged(days):
            hit = [event for event in own if first <= event.end - 1 + GAP and last >= event.start]
            alerts, right = alerts + 1, right + bool(hit)
            false[series] += not hit
            for event in hit:
                day = min(day for day in days if day >= event.start)
                first_hit[event] = min(day, first_hit.get(event, day))
    months = (DAYS - FIRST_SCORED) / 30
    by_kind = {}
    for kind in KINDS:
        events = [event for event in labelled.events if event.kind == kind]
        delays = [first_hit[event] - event.start for event in events if event in first_hit]
        by_kind[kind] = (len(delays), len(events), float(median(delays)) if delays else None)
    by_drop = {
        drop: sum(false[name] for name in names) / (len(names) * months)
        for drop in DROPS
        if (names := [name for name, value in labelled.weekend_drop.items() if value == drop])
    }
    false_all = (alerts - right) / (len(labelled.costs) * months)
    return Scored(alerts, right, len(labelled.events), len(first_hit), false_all, by_kind, by_drop)


def _merged(days: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for day in sorted(days):
        if runs and day - runs[-1][1] <= GAP:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def measure(series: int, seeds: tuple[int, ...]) -> dict[str, Scored]:
    """Detectors on the series of all seeds together. A series of one seed is no other's."""
    costs, events, drops = {}, [], {}
    for seed in seeds:
        part = generate(series, seed)
        costs |= {f"{seed}-{name}": days for name, days in part.costs.items()}
        events += [Event(f"{seed}-{one.series}", one.kind, one.start, one.end) for one in part.events]
        drops |= {f"{seed}-{name}": drop for name, drop in part.weekend_drop.items()}
    labelled = Labelled(costs, tuple(events), drops)
    found = {}
    for name, detector, sensitivity in (
        ("20 % rule", "rule", 7.0), ("default, sensitivity 7", "default", 7.0), ("default, sensitivity 5", "default", 5.0),
        ("default, sensitivity 10", "default", 10.0),
    ):  # fmt: skip
        frame = plain_flags(labelled.costs, detector, sensitivity)
        up = frame[frame["direction"] == "up"]
        found[name] = score(labelled, zip(up["series"], up["date"], strict=True))
    return found


def report(found: dict[str, Scored], series: int, seeds: tuple[int, ...], seconds: float) -> str:
    """The page."""
    first = next(iter(found.values()))
    lines = [
        "# How right the anomaly detectors are",
        "",
        "Written by `python -m benchmarks.anomaly_detection`. Series are generated, so that every event is known: "
        f"{series * len(seeds):,} series of {DAYS} days (seeds {', '.join(map(str, seeds))}), {first.events} events from day {FIRST_SCORED} on. "
        "Real costs hold events that nobody thought of: expect a lower precision there.",
        "",
        "| Detector | Alerts | Precision | Recall | F1 | False alarms per series and month |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {name} | {one.alerts:,} | {one.precision:.3f} | {one.recall:.3f} | {one.f1:.3f} | {one.false_per_month:.3f} |"
            for name, one in found.items()
        ),
        "",
        "Events found, and the median of days until the first flag:",
        "",
        f"| Detector | {' | '.join(KINDS)} |",
        f"| --- |{' ---: |' * len(KINDS)}",
        *(f"| {name} | {' | '.join(_kind(*one.by_kind[kind]) for kind in KINDS)} |" for name, one in found.items()),
        "",
        "False alarms per series and month, by how much less a weekend day costs:",
        "",
        f"| Detector | {' | '.join(f'{drop:.0%}' for drop in DROPS)} |",
        f"| --- |{' ---: |' * len(DROPS)}",
        *(
            f"| {name} | {' | '.join(f'{one.false_by_drop.get(drop, 0):.2f}' for drop in DROPS)} |"
            for name, one in found.items()
        ),
        "",
        f"All of it took {seconds:.0f} s. Flags at most {GAP} days apart are one alert; an alert is right when it overlaps an event, up to {GAP} "
        "days after its end. Only rises are scored. Half of the series end with incomplete days, on which the default detector tells no drop.",
        "",
    ]
    return "\n".join(lines)


def _kind(found: int, events: int, delay: float | None) -> str:
    return f"{found} of {events}" + ("" if delay is None else f", {delay:.0f} d")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.anomaly_detection", description="How right the anomaly detectors are."
    )
    parser.add_argument("--series", type=int, default=200, help="series per seed")
    parser.add_argument("--seed", type=int, action="append", help="repeatable (default: 11, 12 and 13)")
    parser.add_argument(
        "--output", default=str(ROOT / "docs" / "benchmarks-anomalies.md"), help="the page, or - for stdout"
    )
    options = parser.parse_args(arguments)
    seeds = tuple(options.seed or SEEDS)
    start = time.perf_counter()
    found = measure(options.series, seeds)
    text = report(found, options.series, seeds, time.perf_counter() - start)
    if options.output == "-":
        sys.stdout.write(text)
    else:
        Path(options.output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

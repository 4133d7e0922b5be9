"""What `percall doctor` looks at on this machine, each as a list of findings: configuration, store, freshness of the sources, and prices."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.alert_settings import read_alert_settings
from analytics.allocation_rules import read_allocation_rules
from analytics.budgets import read_budgets
from analytics.frames import rows_of
from analytics.freshness import freshness, lag_days, late_sources
from connectors.live.settings import Misconfigured
from connectors.live.source import Finding
from connectors.live.sync_records import SyncRecords
from warehouse.configuration import Configuration
from warehouse.errors import PercallError
from warehouse.people import read_people
from warehouse.reader import Warehouse, open_current
from warehouse.store import Store

LITTLE_SPACE = 2 * 2**30
NO_SPACE = 2**28
"""Bytes: a load writes the months that it touches anew before it lets go of the old ones."""

PRICED_DAYS = 30
"""Days up to the newest call whose prices are looked at."""

MANY_UNPRICED = 0.01
"""Share of calls without a price from which on it is a problem: totals are then wrong by as much."""

MODELS_TOLD = 5


@dataclass(frozen=True)
class Found:
    """A finding and the part of the installation that it is about: configuration, store, source, freshness or prices."""

    section: str
    finding: Finding


def configuration_findings(
    configuration: Configuration, broken: Sequence[Misconfigured], usable: int
) -> Iterator[Found]:
    """Whether percall.toml is there, and its sources, rules, budgets, alerts and people can be used."""
    place = str(configuration.path) if configuration.path else "percall.toml"
    if configuration.path is None:
        yield _found("configuration", "fine", place, "there is none: every setting has its default")
        return
    wrong = [(section.name, section.message) for section in broken]
    for name, read in (
        ("allocation", lambda: read_allocation_rules(configuration.allocation)),
        ("budget", lambda: read_budgets(configuration.budgets)),
        ("alerts", lambda: read_alert_settings(configuration.alerts)),
        ("people", lambda: read_people(configuration.people)),
    ):
        try:
            read()
        except PercallError as error:
            wrong.append((name, str(error)))
    if configuration.price_overrides is not None and not configuration.price_overrides.is_file():
        wrong.append(("price_overrides", f"{configuration.price_overrides}: this price file does not exist"))
    if not wrong:
        yield _found("configuration", "fine", place, f"{usable} live sources" if usable != 1 else "1 live source")
    for name, message in wrong:
        yield _found("configuration", "problem", name, message, "correct it in percall.toml")


def store_findings(store: Store) -> Iterator[Found]:
    """Whether the store can be read and written, and has room."""
    place = str(store.path)
    try:
        snapshot = store.current()
        SyncRecords(store.path).latest()
    except PercallError as error:
        yield _found("store", "problem", place, str(error))
        return
    except OSError as error:
        yield _found(
            "store", "problem", place, f"cannot be read ({error.strerror})", f"give the user {os.getuid()} the right to read it"
        )  # fmt: skip
        return
    if snapshot is None:
        yield _found(
            "store", "warning", place, "nothing was ever loaded", "run percall sync, percall load PATH or percall demo"
        )
    else:
        missing = [file.name for file in snapshot.files if not (store.facts / file.name).exists()]
        if missing:
            yield _found(
                "store", "problem", place, f"{len(missing)} of its files are missing, the first is {missing[0]}",
                "restore the folder from a back-up, or load the files into a new store",
            )  # fmt: skip
        size = sum(file.bytes for file in snapshot.files)
        kind = "the demo company" if snapshot.demo else "your data"
        yield _found(
            "store",
            "fine",
            place,
            f"{kind}, {snapshot.snapshot_id}, {size / 1e6:,.0f} MB in {len(snapshot.files)} files",
        )
    yield from _room(store)


def _room(store: Store) -> Iterator[Found]:
    place = next(path for path in (store.path, *store.path.resolve().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        yield _found(
            "store", "problem", str(place), f"cannot be written ({error.strerror})", f"give the user {os.getuid()} the right to write there"
        )  # fmt: skip
    free = shutil.disk_usage(place).free
    level = "problem" if free < NO_SPACE else "warning" if free < LITTLE_SPACE else "fine"
    remedy = "" if level == "fine" else "free some space, or move the store to another disk (--store PATH)"
    yield _found("store", level, f"disk of {place}", f"{free / 1e9:,.1f} GB free", remedy)


def freshness_findings(store: Store, configuration: Configuration) -> Iterator[Found]:
    """Whether the newest day of every source is as young as its usual lag allows."""
    warehouse = _opened(store, configuration)
    if warehouse is None or warehouse.is_empty:
        return
    from operations.filter_options import chosen_filters

    today = datetime.now(UTC).astimezone(configuration.zone).date()
    late = dict(late_sources(warehouse, today))
    for row in freshness(warehouse, chosen_filters(warehouse, None, None, [], "effective", "day")).to_dict("records"):
        source, lag = str(row["source"]), lag_days(configuration, str(row["source"]))
        said = f"{row['table']} to {row['last_day']}, usual lag {lag} days"
        if source in late:
            yield _found(
                "freshness", "problem", source, f"{said}: nothing newer came, {(today - late[source]).days} days later",
                "sync or load it; where the lag is longer, say so in usual_lag_days",
            )  # fmt: skip
        else:
            yield _found("freshness", "fine", source, said)


def price_findings(store: Store, configuration: Configuration) -> Iterator[Found]:
    """Which models of the newest days have no price, so that their calls cost nothing that is known."""
    warehouse = _opened(store, configuration)
    span = warehouse.span() if warehouse is not None and not warehouse.is_empty else None
    if warehouse is None or span is None:
        return
    calls = warehouse.table("calls")
    since = datetime.combine(span[1] - timedelta(days=PRICED_DAYS), datetime.min.time())
    recent = calls.filter(calls.started_at >= since)
    grouped = recent.group_by(["provider", "model_raw"]).agg(
        calls=recent.count(), unpriced=(recent.cost.isnull() & recent.output_tokens.notnull()).sum()
    )
    rows = rows_of(warehouse, grouped)
    total, unpriced = sum(row["calls"] for row in rows), sum(int(row["unpriced"] or 0) for row in rows)
    if not total:
        return
    without = sorted((row for row in rows if row["unpriced"]), key=lambda row: -int(row["unpriced"]))
    if not without:
        yield _found(
            "prices",
            "fine",
            "prices",
            f"every call with tokens of the last {PRICED_DAYS} days has a price ({total:,} calls)",
        )
        return
    named = ", ".join(
        f"{row['provider']}/{row['model_raw']} ({int(row['unpriced']):,} calls)" for row in without[:MODELS_TOLD]
    )
    more = f" and {len(without) - MODELS_TOLD} more" if len(without) > MODELS_TOLD else ""
    level = "problem" if unpriced >= MANY_UNPRICED * total else "warning"
    yield _found(
        "prices", level, "prices", f"{unpriced:,} of {total:,} calls of the last {PRICED_DAYS} days have no price: {named}{more}",
        "load a price list (percall load prices FILE), or name a canonical model in data/model_aliases.toml",
    )  # fmt: skip


def _opened(store: Store, configuration: Configuration) -> Warehouse | None:
    try:
        return open_current(Path(store.path), configuration)
    except (PercallError, OSError):
        return None  # told with the store


def _found(section: str, level: str, subject: str, message: str, remedy: str = "") -> Found:
    return Found(section, Finding(level, subject, message, remedy))  # type: ignore[arg-type]

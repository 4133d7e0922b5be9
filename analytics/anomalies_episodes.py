"""From flagged days to what somebody should look at: one episode per event, however many days and series it shows in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from analytics.anomalies import BOTH, DEFAULT, KIND, RULE, require_detector, rows_of_panel
from analytics.anomalies_overlap import Overlap, overlap
from analytics.anomalies_robust import SENSITIVITY
from analytics.anomalies_series import Panel, panel
from analytics.filters import UNTAGGED, Filters
from analytics.frames import Row
from analytics.kept_findings import is_whole, kept_finding
from warehouse.reader import Warehouse

GAP_DAYS = 3
"""Flagged days so close together are one event."""
LOOK_BACK = 45
"""Days before the period from which an event is followed, so that where a period is cut does not cut its events."""
EXPLAINED = Decimal("0.8")


@dataclass(frozen=True)
class Episode:
    """One event: days in a row on which one series was flagged in one direction. Amounts are exact, in `currency`.

    series, kind, direction, confidence: as in `analytics.anomalies`, the kind with the largest excess. days: the flagged ones, first_day to
    last_day, both inclusive. expected, actual, excess: sums over them, excess below 0 for "down". peak_day, peak_excess: the flagged day that was
    furthest off. is_ongoing: the newest complete day of the series is still flagged. rule: whether the 20 % rule found it, not the default
    detector. also: other series that show the same event, the largest excess first. cause: the narrowest of them that explains at least 80 %
    of it (None: the series itself).

    fingerprint names what is odd ("feature:summarize up", with the filters where there are any) and is the same for every event of that kind;
    `key` adds the first day.
    """

    fingerprint: str
    series: str
    kind: str
    direction: str
    confidence: str
    days: tuple[date, ...]
    expected: Decimal
    actual: Decimal
    excess: Decimal
    peak_day: date
    peak_excess: Decimal
    currency: str | None
    is_ongoing: bool
    rule: bool
    also: tuple[str, ...] = ()
    cause: Episode | None = None

    @property
    def first_day(self) -> date:
        """First flagged day."""
        return self.days[0]

    @property
    def last_day(self) -> date:
        """Last flagged day."""
        return self.days[-1]

    @property
    def key(self) -> str:
        """Name of this one event."""
        return f"{self.fingerprint} {self.first_day}"

    @property
    def told_by(self) -> Episode:
        """The episode that says best what happened: the cause, else this one."""
        return self.cause or self


def episodes(
    warehouse: Warehouse, filters: Filters, detector: str = DEFAULT, sensitivity: float = SENSITIVITY
) -> tuple[Episode, ...]:
    """What was odd in the period, one episode per event: ongoing ones first, what rose before what fell, then the largest excess.

    An event that shows in several series is told once: by the widest series, with the others in `also`. A narrower one is folded in when the
    wider one explains at least 80 % of its excess: by the part of its cost that lies in the wider series, and by the size of what is odd
    there. Events are followed from 45 days before the period, and belong to it when one of their days does.

    `detector`: "default", "rule" or "both" (the rule's events are kept apart from the others). Raises InputError for another one, and when the
    costs are in several currencies.
    """
    require_detector(detector, sensitivity)

    def find() -> tuple[Episode, ...]:
        return _episodes(warehouse, filters, detector, sensitivity)

    if sensitivity != SENSITIVITY or not is_whole(filters):
        return find()
    return kept_finding(warehouse, "episodes", find, filters, detector)


def _episodes(warehouse: Warehouse, filters: Filters, detector: str, sensitivity: float) -> tuple[Episode, ...]:
    found = panel(warehouse, filters)
    if found is None:
        return ()
    first = found.position(filters.start - timedelta(days=LOOK_BACK))
    told: list[Episode] = []
    for one in (DEFAULT, RULE):
        if detector in (one, BOTH):
            rows = rows_of_panel(found, first, one, sensitivity)
            single = [event for event in _events(found, filters, rows) if event.last_day >= filters.start]
            told += _folded(single, overlap(warehouse, filters, single))
    return tuple(sorted(told, key=_urgency))


def _urgency(event: Episode) -> tuple[bool, bool, Decimal, str]:
    return not event.is_ongoing, event.direction == "down", -abs(event.excess), event.key


def _events(found: Panel, filters: Filters, rows: Iterable[Row]) -> list[Episode]:
    """One episode per series, direction and run of days."""
    newest = {name: _newest_known(found, row) for row, name in enumerate(found.names)}
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["date"]):
        groups.setdefault((row["series"], row["direction"]), []).append(row)
    return [
        _event(run, filters, newest[series])
        for (series, _direction), flags in sorted(groups.items())
        for run in _runs(flags)
    ]


def _runs(flags: Sequence[Row]) -> list[list[Row]]:
    runs: list[list[Row]] = []
    for flag in flags:
        if runs and (flag["date"] - runs[-1][-1]["date"]).days <= GAP_DAYS:
            runs[-1].append(flag)
        else:
            runs.append([flag])
    return runs


def _event(run: Sequence[Row], filters: Filters, newest: date | None) -> Episode:
    by_kind: dict[str, Decimal] = {}
    for flag in run:
        by_kind[flag["kind"]] = by_kind.get(flag["kind"], Decimal(0)) + abs(flag["excess"])
    peak = max(run, key=lambda flag: abs(flag["excess"]))
    series, direction = run[0]["series"], run[0]["direction"]
    kind = max(by_kind, key=lambda name: by_kind[name])
    return Episode(
        fingerprint=fingerprint(series, direction, kind == KIND, filters),
        series=series,
        kind=kind,
        direction=direction,
        confidence="high" if any(flag["confidence"] == "high" for flag in run) else "low",
        days=tuple(flag["date"] for flag in run),
        expected=sum((flag["expected"] for flag in run), Decimal(0)),
        actual=sum((flag["actual"] for flag in run), Decimal(0)),
        excess=sum((flag["excess"] for flag in run), Decimal(0)),
        peak_day=peak["date"],
        peak_excess=peak["excess"],
        currency=run[0]["currency"],
        is_ongoing=run[-1]["date"] == newest,
        rule=kind == KIND,
    )


def fingerprint(series: str, direction: str, is_rule: bool, filters: Filters) -> str:
    """Name of what is odd: the series, the direction, the rule if it is one's, and the filters and basis where they are not the usual ones."""
    narrowed = [f"{name}={'|'.join(values)}" for name, values in filters.where]
    basis = [] if filters.basis == "effective" else [filters.basis]
    return " ".join([series, direction, *(["rule"] if is_rule else []), *narrowed, *basis])


def _newest_known(found: Panel, row: int) -> date | None:
    known = [day for day, value in zip(found.days, found.costs[row], strict=True) if value == value]  # noqa: PLR0124 - NaN is not itself
    return known[-1] if known else None


def _folded(single: Sequence[Episode], shared: Overlap) -> list[Episode]:
    """Each event once: narrower episodes folded into the widest that explains them, and the cause named."""
    ordered = sorted(single, key=lambda event: (_breadth(event.series), -abs(event.excess), event.key))
    groups: list[list[Episode]] = []
    for event in ordered:
        same = next((group for group in groups if _explains(group[0], event, shared)), None)
        if same is None:
            # What is wide but no part of the others, such as a project beside a category, may still be the same event: its cause says so.
            same = next((group for group in groups if any(_is_cause(one, event, shared) for one in group)), None)
        if same is None:
            groups.append([event])
        else:
            same.append(event)
    return [_with_children(root, children) for root, *children in _joined(groups, shared)]


def _joined(groups: list[list[Episode]], shared: Overlap) -> list[list[Episode]]:
    """Groups of one cause put together: a group that came before its cause was known joins the one that has it."""
    joined: list[list[Episode]] = []
    for group in groups:
        same = next((other for other in joined if any(_is_cause(one, group[0], shared) for one in other)), None)
        if same is None:
            joined.append(group)
        else:
            same.extend(group)
    return joined


_BREADTH = ("total", "category", "service", "project", "team", "env", "feature", "user_tier", "model", "user")


def _breadth(series: str) -> int:
    return _BREADTH.index(series.partition(":")[0])


def _explains(wide: Episode, narrow: Episode, shared: Overlap) -> bool:
    """Whether the wider episode accounts for at least 80 % of what is odd in the narrower one."""
    if wide.direction != narrow.direction or wide.rule != narrow.rule:
        return False
    together = [day for day in narrow.days if wide.first_day <= day <= wide.last_day]
    if not together:
        return False
    part = Decimal(len(together)) / len(narrow.days) * shared.share(narrow.series, wide.series)
    size = abs(narrow.excess) / len(narrow.days)
    explained = part * min(Decimal(1), abs(wide.excess) / len(wide.days) / size if size else Decimal(1))
    return explained >= EXPLAINED


def _is_cause(narrow: Episode, wide: Episode, shared: Overlap) -> bool:
    """Whether most of what is odd in the wider episode is what is odd in the narrower one, which lies in it."""
    if wide.direction != narrow.direction or wide.rule != narrow.rule:
        return False
    together = [day for day in wide.days if narrow.first_day <= day <= narrow.last_day]
    if len(together) < EXPLAINED * len(wide.days) or abs(narrow.excess) < EXPLAINED * abs(wide.excess):
        return False
    return shared.share(narrow.series, wide.series) >= EXPLAINED


def _with_children(root: Episode, children: Sequence[Episode]) -> Episode:
    """The root with what else shows the event, and with the narrowest series that explains at least 80 % of it."""
    ordered = sorted(children, key=lambda event: (-abs(event.excess), event.series))
    enough = [child for child in ordered if abs(child.excess) >= EXPLAINED * abs(root.excess)]
    telling = [child for child in enough if _tells(child.series) < _tells(root.series)]
    # A series that is no smaller than half of the whole tells nothing that the whole does not.
    cause = min(
        telling, default=None, key=lambda child: (child.expected > root.expected / 2, _tells(child.series), child.expected, child.series)
    )  # fmt: skip
    return replace(root, also=tuple(dict.fromkeys(child.series for child in ordered)), cause=cause)


_CAUSES = ("feature", "model", "user", "service", "category")
"""Dimensions whose values can be a cause, by how much they say; who owns a cost, and for whom, is none."""


def _tells(series: str) -> int:
    dimension, _, value = series.partition(":")
    return _CAUSES.index(dimension) if dimension in _CAUSES and value != UNTAGGED else len(_CAUSES)

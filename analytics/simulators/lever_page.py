"""One lever with its sliders, as a page shows it: a curve along the main slider, and the outcome of one setting.

A setting is a mapping of control names to values, as the controls say them. Nothing here queries the warehouse: all comes from the situation, and
what is expensive is prepared once in its memo: a move of the main slider, to any of its steps, then goes through no call (`Effect`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from analytics import formatting
from analytics.frames import frame_of
from analytics.simulators.effect import Effect, costs, outcome
from analytics.simulators.lever import Lever, Selection
from analytics.simulators.run_scenario import monthly_today
from analytics.simulators.situation import Situation
from analytics.simulators.slider import SETTINGS, kept
from analytics.simulators.to_the_cent import total_in_cents
from analytics.simulators.waterfall import Waterfall
from warehouse.errors import InputError

Setting = Mapping[str, Any]

NO_SAMPLES = "Not known without labelled samples"
SHARES: Mapping[str, float] = {f"{percent}%": percent / 100 for percent in range(0, 101, 5)}
"""Steps of a slider over shares."""

STEPS = tuple(SHARES.values())

POINT_COLUMNS = ("value", "cost", "saving", "changed_calls", "risk", "is_today")


@dataclass(frozen=True)
class Control:
    """One thing to set. kind: "steps" (a slider over `options`, which are texts), "choice" (one of `options`; `open`: or what is typed),
    "number" (from `low` to `high` in `step`), "switch", or "features" (some of the features that calls name; none chosen: all).

    main: the curve runs along it; such a control has steps.
    """

    name: str
    label: str
    kind: Literal["steps", "choice", "number", "switch", "features"]
    default: Any
    help: str
    options: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    unit: str = ""
    main: bool = False
    open: bool = False


@dataclass(frozen=True)
class Detail:
    """A table of a lever's own beside the general ones: `frame`, its columns' labels and kinds (as pages draw them)."""

    title: str
    note: str
    frame: pd.DataFrame
    columns: Mapping[str, tuple[str, str, str | None]]


@dataclass(frozen=True)
class LeverPage:
    """What a page about one lever asks and shows.

    key: prefix of its controls in an address. controls: its sliders for a situation. build: the lever of a setting (its neutral setting where
    nothing is to change); raises InputError. effect: what the lever does at a setting, read from what was prepared for all options of the main
    control. action: what the setting does, as the beginning of a sentence. quality: what is known of the risk at this setting. missing: what the
    situation lacks for the lever, None: nothing. detail: a table of its own. waits_for: what must be chosen before anything is simulated, None:
    the controls' first values simulate something.
    """

    key: str
    kind: type[Lever]
    lead: str
    what: str
    axis: str
    changed: str
    risk: str
    controls: Callable[[Situation], tuple[Control, ...]]
    build: Callable[[Situation, Setting], Lever]
    effect: Callable[[Situation, Setting], Effect]
    action: Callable[[Setting], str]
    quality: Callable[[Situation, Lever, Setting], str]
    missing: Callable[[Situation], str | None]
    detail: Callable[[Situation, Lever], Detail | None]
    waits_for: str | None = None

    def drawn(self, situation: Situation) -> tuple[Control, ...]:
        """`controls`, worked out once."""
        return kept(situation, f"{self.key} page controls", (), lambda: self.controls(situation))

    def main(self, situation: Situation) -> Control:
        """The control that the curve runs along."""
        return next(control for control in self.drawn(situation) if control.main)

    def curve(self, situation: Situation, setting: Setting) -> pd.DataFrame:
        """One row per option of the main slider, in order: value (its text), cost and saving (Decimal, USD per month, simulated), changed_calls
        (weighted, of the window), risk (a share, None: not known), is_today (nothing is changed there).

        Worked out once for all other values of the setting. Raises InputError for a setting that the lever refuses.
        """
        main = self.main(situation)
        others = tuple(sorted((name, value) for name, value in setting.items() if name != main.name))

        def make() -> pd.DataFrame:
            scale = situation.window.scale_to_month
            base = monthly_today(situation)
            rows = []
            for option in main.options:
                found = self.effect(situation, {**setting, main.name: option})
                monthly = total_in_cents(amount * scale for amount in costs(situation, found).values())
                rows.append((option, monthly, base - monthly, found.changed, found.risk, found.is_today))
            return pd.DataFrame(rows, columns=list(POINT_COLUMNS), dtype=object)

        return kept(situation, f"{self.key} page curve", others, make, SETTINGS)

    def outcome(self, situation: Situation, setting: Setting) -> Outcome:
        """What this setting does, with its range: worked out once for all who look at the same calls. Raises InputError."""

        def make() -> Outcome:
            found = self.effect(situation, setting)
            return Outcome(found.lever, outcome(situation, found), found.risk)

        return kept(situation, f"{self.key} page outcome", tuple(sorted(setting.items())), make, SETTINGS)


@dataclass(frozen=True)
class Outcome:
    """A lever at one setting, as the only one. risk: a share, None: not known."""

    lever: Lever
    waterfall: Waterfall
    risk: float | None = None

    @property
    def is_neutral(self) -> bool:
        """Whether nothing changes: no call and no cent."""
        return self.waterfall.saving == 0 and not self.waterfall.steps[0].changed

    @property
    def range_words(self) -> str:
        """`$1,230 to $1,410`; one amount where both ends read the same."""
        low, high = formatting.usd(self.waterfall.saving_low), formatting.usd(self.waterfall.saving_high)
        return low if low == high else f"{low} to {high}"

    @property
    def saving_share(self) -> float | None:
        """Saving as a part of today's cost."""
        return float(self.waterfall.saving / self.waterfall.today) if self.waterfall.today else None

    def evidence(self, limit: int = 100) -> pd.DataFrame:
        """The calls that change most: see `analytics.simulators.evidence.changed_calls`."""
        return self.waterfall.evidence(0, limit)

    def by_feature(self) -> pd.DataFrame:
        """Features whose cost or calls change, the largest saving first: the columns of `Waterfall.by_feature`, and saving_share (of the cost)."""
        rows: list[dict[str, Any]] = [
            {str(name): cell for name, cell in row.items()}
            for row in self.waterfall.by_feature.to_dict("records")
            if row["saving"] or row["calls"] != row["calls_after"]
        ]
        for row in rows:
            row["saving_share"] = float(row["saving"] / row["cost"]) if row["cost"] else None
        rows.sort(key=lambda row: -abs(row["saving"]))
        return frame_of(rows, (*self.waterfall.by_feature.columns, "saving_share"))


def drawn_from(situation: Situation, confidence: float) -> str:
    """What a range rests on: `the 95% range over days and users, drawn from 12 calls in 7 days`. Of few, a range from nothing is no slip."""
    calls, days = len(situation.workload), situation.window.days
    return (
        f"the {confidence:.0%} range over days and users, drawn from {formatting.count(calls)} {'call' if calls == 1 else 'calls'} "
        f"in {days} {'day' if days == 1 else 'days'}"
    )


def headline(page: LeverPage, outcome: Outcome, curve: pd.DataFrame, setting: Setting) -> str:
    """The page's answer in a sentence, with the saving per month as a range."""
    saving = outcome.waterfall.saving
    if outcome.is_neutral:
        sentence = f"At this setting nothing changes: {formatting.usd(outcome.waterfall.today)} a month, as today"
        if page.waits_for is not None and curve["is_today"].all():
            return f"Nothing is simulated yet: choose {page.waits_for}. A month costs {formatting.usd(outcome.waterfall.today)} today"
        best = max(range(len(curve)), key=lambda place: curve["saving"].iloc[place], default=None)
        if best is None or curve["saving"].iloc[best] <= 0:
            return f"{sentence}, and no other point of the slider costs less"
        return f"{sentence}; at most {formatting.usd(curve['saving'].iloc[best])} would be saved, at {curve['value'].iloc[best]}"
    if saving < 0:
        low, high = formatting.usd(-outcome.waterfall.saving_high), formatting.usd(-outcome.waterfall.saving_low)
        return f"{page.action(setting)} would cost {low if low == high else f'{low} to {high}'} more a month"
    if saving == 0:
        return f"{page.action(setting)} changes calls, but not what they cost"
    return f"{page.action(setting)} would save {outcome.range_words} a month"


def chosen_features(setting: Setting) -> Selection:
    """The calls that a setting's features choose."""
    return Selection(feature=tuple(setting.get("features", ())))


def features_control(situation: Situation, label: str = "Only these features", *, required: bool = False) -> Control:
    """The control that chooses calls by feature."""
    sentence = "Nothing changes until one is chosen." if required else "None chosen: all calls."
    return Control(
        "features", label, "features", (), f"Which calls the lever is for. {sentence}", tuple(sorted(situation.workload.names["feature"]))
    )  # fmt: skip


def number_of(option: str, options: Mapping[str, float]) -> float:
    """The number that a step's text stands for. Raises InputError for a text that is none of the steps."""
    try:
        return options[option]
    except KeyError:
        raise InputError(f"{option!r} is no step of this slider: choose {', '.join(options)}") from None


def calls_missing(situation: Situation) -> str | None:
    """What a lever on calls misses, in a sentence; None: nothing."""
    if len(situation.workload):
        return None
    return "No call of this period passes the filters. This lever replays calls: load traces, choose other days, or remove a filter."


def no_detail(_situation: Situation, _lever: Lever) -> Detail | None:
    """No table of the lever's own."""
    return None


def share_of(setting: Setting) -> float:
    """The part of 1 that a setting's `share` stands for."""
    return number_of(setting["share"], SHARES)

"""Pages of the levers on how much is asked: a feature switched off for a tier, and more or fewer calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from analytics.simulators.drawn_effects import switch_off_effect
from analytics.simulators.effect import Effect
from analytics.simulators.lever import Selection
from analytics.simulators.lever_page import (
    SHARES,
    STEPS,
    Control,
    LeverPage,
    Setting,
    calls_missing,
    chosen_features,
    features_control,
    no_detail,
    number_of,
    share_of,
)
from analytics.simulators.situation import Situation
from analytics.simulators.tier_switch import SwitchOff
from analytics.simulators.volume import Volume
from analytics.simulators.volume_effects import volume_effect

AS_TODAY = "as today"
GROWTH: Mapping[str, float] = {
    **{f"\N{MINUS SIGN}{percent}%": 1 - percent / 100 for percent in (75, 50, 25, 10)},
    AS_TODAY: 1.0,
    **{f"+{percent}%": 1 + percent / 100 for percent in (10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 900)},
}


# Switching off


def _off_controls(situation: Situation) -> tuple[Control, ...]:
    tiers = tuple(sorted(situation.workload.names["user_tier"]))
    return (
        Control("share", "Calls that are no longer made", "steps", "100%", "Less than all: a limit that lets some through.",
                tuple(SHARES), main=True),
        features_control(situation, "Features", required=True),
        Control("tiers", "Tiers of users", "features", (), "None chosen: all tiers.", tiers),
    )  # fmt: skip


def _off(_situation: Situation, setting: Setting) -> SwitchOff:
    calls = Selection(feature=tuple(setting["features"]), user_tier=tuple(setting["tiers"]))
    return SwitchOff(calls=calls, share=share_of(setting)) if calls != Selection() else SwitchOff.neutral()


def _off_effect(situation: Situation, setting: Setting) -> Effect:
    return switch_off_effect(_off(situation, setting), situation, STEPS)


def _off_action(setting: Setting) -> str:
    what = ", ".join(setting["features"]) or "all features"
    whom = f" for {', '.join(setting['tiers'])}" if setting["tiers"] else ""
    return (
        f"Switching off {what}{whom}"
        if setting["share"] == "100%"
        else f"Dropping {setting['share']} of the calls of {what}{whom}"
    )


OFF = LeverPage(
    key="off", kind=SwitchOff,
    lead="The chosen feature is off for a tier: its calls are not made; what it shares with others costs as today.",
    what="switching a feature off", axis="Share of calls dropped", changed="Calls dropped", risk="Revenue lost",
    controls=_off_controls, build=_off, effect=_off_effect, action=_off_action,
    quality=lambda _situation, _lever, _setting: "What these calls earn is lost too, and is no part of this cost.",
    missing=calls_missing, detail=no_detail, waits_for="what is switched off: features, tiers of users, or both",
)  # fmt: skip

# Volume


def _volume_controls(situation: Situation) -> tuple[Control, ...]:
    tiers = tuple(sorted(situation.workload.names["user_tier"]))
    return (
        Control("growth", "Calls, compared with today", "steps", "+50%", "Every call stands for so many of its kind at its time.", tuple(GROWTH),
                main=True),
        features_control(situation, "Only these features"),
        Control("tiers", "Tiers of users", "features", (), "None chosen: all tiers.", tiers),
    )  # fmt: skip


def _volume(_situation: Situation, setting: Setting) -> Volume:
    calls = Selection(feature=chosen_features(setting).feature, user_tier=tuple(setting["tiers"]))
    return Volume(times=number_of(setting["growth"], GROWTH), calls=calls)


def _volume_effect(situation: Situation, setting: Setting) -> Effect:
    return volume_effect(_volume(situation, setting), situation)


def _volume_action(setting: Setting) -> str:
    which = f" of {', '.join(setting['features'])}" if setting["features"] else ""
    return f"Calls{which} at {setting['growth']}"


VOLUME = LeverPage(
    key="volume", kind=Volume,
    lead="The calls of the period, so many times as often; what is paid by the hour or the month costs as today.",
    what="another volume", axis="Calls, compared with today", changed="Calls that count anew", risk="Answers changed",
    controls=_volume_controls, build=_volume, effect=_volume_effect, action=_volume_action,
    quality=lambda _situation, lever, _setting: (
        "None. Machines that are paid by the hour may not carry so much: size them by it in the scenario planner."
        if cast("Volume", lever).times > 1
        else "None."
    ),
    missing=calls_missing, detail=no_detail,
)  # fmt: skip

DEMAND_PAGES: tuple[LeverPage, ...] = (OFF, VOLUME)
"""In the order of the navigation."""

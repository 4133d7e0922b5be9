"""What users and pipelines ask of the models, day by day, before anybody changed anything."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.demo import columns
from connectors.demo.columns import Columns
from connectors.demo.people import People
from connectors.demo.questions import read_questions
from connectors.demo.shares import Numbers, apportion, around, meet_mean, pick, scramble
from connectors.demo.story import MICROSECONDS_A_DAY, TIERS, Feature, Story

Indices = NDArray[np.int64]


def feature_calls(story: Story, people: People, feature: Feature) -> Columns:
    """Every successful call of one feature over the whole period, with the sizes of March."""
    return columns.join(_month_calls(story, people, feature, month) for month in range(len(story.months)))


def _month_calls(story: Story, people: People, feature: Feature, month: int) -> Columns:
    random = story.random(feature.name, story.months[month])
    count = story.calls_in(feature, month)
    turn, session = (np.zeros(count, dtype=np.int64), None)
    if feature.turns:
        turn, session = _sessions(random, count, feature.turns)
    starts = count if session is None else int(session[-1]) + 1
    day, time = _times(story, random, people, feature, month, starts)
    tier: Any = -1
    user: Any = -1
    if feature.tiers:
        tier = random.permutation(np.repeat(np.arange(len(TIERS)), _tier_counts(feature, starts)))
        user = people.callers(random, day, tier)
    given: dict[str, Any] = {}
    if session is not None:
        time, tier, user = _spread_turns(random, time[session], turn), tier[session], user[session]
        given["session"] = session + 1_000_000 * (month + 1)
    sizes = _sizes(story, random, feature, count, turn, session)
    calls = columns.rows(
        count,
        time=time,
        tier=tier,
        user=user,
        feature=story.feature_names.index(feature.name),
        model=story.model_code(feature.model),
        max_tokens=feature.max_tokens,
        stream=feature.stream,
        **given,
        **sizes,
    )
    calls["finish"] = np.where(calls["output"] >= feature.max_tokens, columns.LENGTH, columns.STOP).astype(np.int8)
    if feature.conversion is not None:
        calls["converted"] = (random.random(count) < feature.conversion).astype(np.int8)
    return calls


def _tier_counts(feature: Feature, count: int) -> Indices:
    shares = feature.tiers or {}
    return apportion(np.array([shares[name] for name in TIERS]), count)


def _times(
    story: Story, random: np.random.Generator, people: People, feature: Feature, month: int, count: int
) -> tuple[Indices, Indices]:
    """Days and times (microseconds) of `count` beginnings: in step with the daily users, or steady for pipelines."""
    days = story.days_in(month)
    weights = people.active_by_day(len(story.dates))[days] * 1.0 if feature.tiers else np.ones(len(days))
    weights = weights * np.exp(random.normal(0.0, 0.035, len(days)))
    for event in story.raw["event"]:
        if event["feature"] == feature.name:
            weights = weights * np.where(days == story.day(event["date"]), event["factor"], 1.0)
    day = np.repeat(days, apportion(weights, count))
    day = random.permutation(day)
    return day, day * MICROSECONDS_A_DAY + time_of_day(story, random, feature.hours, count)


def time_of_day(story: Story, random: np.random.Generator, profile: str, count: int) -> Indices:
    """Microseconds since midnight UTC, drawn from an hourly profile."""
    weights = np.array(story.raw["hours"][profile], dtype=float)
    edges = np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    hours = np.interp(random.random(count), edges, np.arange(25.0))
    return np.minimum((hours * 3.6e9).astype(np.int64) // 1000 * 1000, MICROSECONDS_A_DAY - 1_000_000)


def _sessions(random: np.random.Generator, count: int, mean_turns: float) -> tuple[Indices, Indices]:
    """Turn number and session number per call: geometric session lengths, at most 24 turns."""
    lengths = np.minimum(random.geometric(1 / mean_turns, int(count / mean_turns * 1.3) + 50), 24)
    ends = np.cumsum(lengths)
    lengths = lengths[: int(np.searchsorted(ends, count)) + 1]
    session = np.repeat(np.arange(len(lengths)), lengths)[:count]
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return np.arange(count) - first[session], session


def _spread_turns(random: np.random.Generator, start: Indices, turn: Indices) -> Indices:
    """Times of the turns: gaps of about a minute, now and then more than five, always within the day."""
    gaps = np.where(turn > 0, np.minimum(70e6 * np.exp(0.9 * random.standard_normal(len(turn))), 1.2e9), 0.0) + 4e6 * (
        turn > 0
    )
    running = np.cumsum(gaps)
    offset = running - np.maximum.accumulate(np.where(turn == 0, running, 0.0))
    day_end = (start // MICROSECONDS_A_DAY + 1) * MICROSECONDS_A_DAY - 2_000_000
    return np.minimum(start + offset.astype(np.int64) // 1000 * 1000, day_end + turn * 1000)


def _sizes(
    story: Story, random: np.random.Generator, feature: Feature, count: int, turn: Indices, session: Indices | None
) -> dict[str, Any]:
    """Input, output, complexity and content of the calls."""
    if feature.question_skew:
        return _question_sizes(story, random, feature, count)
    units = count if session is None else int(session[-1]) + 1
    unit = np.arange(count) if session is None else session
    hard_units = _hard(random, unit, units, feature.complex_share)
    hard = hard_units[unit]
    inputs, outputs = np.zeros(count), np.zeros(count)
    low, high = feature.input_range
    for kind, size in enumerate(feature.classes):
        here = np.flatnonzero(hard == kind)
        varying = np.exp(feature.spread * random.standard_normal(len(here)))
        if feature.turns:  # the history grows by a question and an answer with every turn
            varying = 60 * varying + 400 * turn[here] * (1 + 0.1 * (unit[here] % 5))
        inputs[here] = feature.fixed_input + meet_mean(
            varying, size.input - feature.fixed_input, low - feature.fixed_input, high - feature.fixed_input
        )
        outputs[here] = around(random, len(here), size.output, feature.output_spread, 4, feature.max_tokens)
    score = _scores(random, hard_units, inputs if session is None else None)[unit] if feature.routed else -1
    return {
        "input": np.rint(inputs),
        "output": np.rint(outputs),
        "complexity": score,
        "content": scramble(np.arange(count) + int(random.integers(2**40)), len(feature.name)),
    }


def _hard(random: np.random.Generator, unit: Indices, units: int, share: float) -> Indices:
    """1 for complex units (calls or sessions), chosen at random until their calls make up the share."""
    order = random.permutation(units)
    calls = np.bincount(unit, minlength=units)[order]
    hard = np.zeros(units, dtype=np.int64)
    hard[order[np.cumsum(calls) <= share * len(unit) + 0.5]] = 1
    return hard


def _scores(random: np.random.Generator, hard: Indices, inputs: Numbers | None) -> Indices:
    """The router's score in hundredths: below 50 for simple units, above for complex ones, rising with the prompt's length."""
    scores = np.zeros(len(hard), dtype=np.int64)
    for kind in (0, 1):
        here = np.flatnonzero(hard == kind)
        urge = random.standard_normal(len(here))
        if inputs is not None and len(here) > 1:
            length = np.log(inputs[here])
            urge = urge + 0.8 * (length - length.mean()) / max(float(length.std()), 1e-9)
        place = np.empty(len(here))
        place[np.argsort(urge, kind="stable")] = (np.arange(len(here)) + 0.5) / max(len(here), 1)
        scores[here] = (50 if kind else 3) + (47 * place).astype(np.int64)
    return scores


def _question_sizes(story: Story, random: np.random.Generator, feature: Feature, count: int) -> dict[str, Any]:
    """Calls that ask questions from a pool: equal questions have equal inputs, and equal complexity, in all months."""
    fixed = story.random(feature.name, "pool")
    texts = read_questions() if not feature.questions else None
    if texts is None:
        weights = (1.0 + np.arange(feature.questions)) ** -feature.question_skew
    else:
        weights = texts.weights(feature.question_skew, fixed.permutation(len(texts.answers)))
    weights = weights / weights.sum()
    hard = _balanced(weights, feature.complex_share)
    scores = _scores(fixed, hard, None)
    question = pick(random, weights, count)
    way = pick(random, texts.way_weights, count) if texts else np.zeros(count, dtype=np.int64)
    ways = texts.ways if texts else 1
    phrase = question * ways + way
    low, high = (bound - feature.fixed_input for bound in feature.input_range)
    varying = np.exp(feature.spread * fixed.standard_normal(len(weights) * ways))
    mass = (weights[:, None] * (texts.way_weights if texts else np.ones(1))).ravel()
    outputs = np.zeros(count)
    for kind, size in enumerate(feature.classes):
        those = np.repeat(hard == kind, ways)
        scale = (size.input - feature.fixed_input) * mass[those].sum() / (varying[those] * mass[those]).sum()
        varying[those] = np.clip(varying[those] * scale, low, high)
        here = np.flatnonzero(hard[question] == kind)
        outputs[here] = around(random, len(here), size.output, feature.output_spread, 4, feature.max_tokens)
    sizes: dict[str, Any] = {
        "input": np.rint(feature.fixed_input + varying[phrase]),
        "output": np.rint(outputs),
        "complexity": scores[question],
        "content": scramble(phrase, len(feature.name) + 100),
    }
    return sizes | ({"question": question, "phrase": phrase} if texts else {})


def _balanced(weights: Numbers, share: float) -> Indices:
    """1 for complex questions, so chosen from the most frequent down that their share of the traffic stays close to the one given."""
    hard = np.zeros(len(weights), dtype=np.int64)
    seen = taken = 0.0
    for place in np.argsort(-weights, kind="stable"):
        seen += weights[place]
        if taken + weights[place] / 2 <= share * seen and share > 0:
            hard[place] = 1
            taken += weights[place]
    return hard

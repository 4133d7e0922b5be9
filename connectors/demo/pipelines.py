"""What runs without a user: reviews that are asked again, the embedding job that nobody owns, a reranker on trial."""

from __future__ import annotations

import numpy as np

from connectors.demo import columns
from connectors.demo.columns import Columns
from connectors.demo.shares import around, pick, scramble
from connectors.demo.story import MICROSECONDS_A_DAY, Feature, Story
from connectors.demo.traffic import time_of_day


def ask_again(story: Story, feature: Feature, reviews: Columns) -> Columns:
    """Reviews and the attempts that went before them: cut off at the limit, not parsable, so asked again.

    Until the output discipline there are `asked_again` further attempts per review, exactly, and all attempts at a review share
    its input and its trace.
    """
    random = story.random(feature.name, "attempts")
    reviews["trace"] = np.arange(columns.size(reviews)) + 500_000_000
    ends = story.day(story.changes["output_discipline"]["from"]) * MICROSECONDS_A_DAY
    month = story.month_of_day[reviews["time"] // MICROSECONDS_A_DAY]
    parts = [reviews]
    for number in range(len(story.months)):
        candidates = np.flatnonzero((month == number) & (reviews["time"] < ends))
        if not len(candidates):
            continue
        again = candidates[random.integers(0, len(candidates), round(feature.asked_again * len(candidates)))]
        attempts = columns.take(reviews, np.sort(again))
        count = columns.size(attempts)
        back = (random.uniform(9e6, 30e6, count)).astype(np.int64) // 1000 * 1000
        day_start = attempts["time"] // MICROSECONDS_A_DAY * MICROSECONDS_A_DAY
        attempts["time"] = np.maximum(attempts["time"] - back, day_start)
        attempts["output"][:] = feature.max_tokens
        attempts["finish"][:] = columns.LENGTH
        parts.append(attempts)
    return columns.join(parts)


def embedding_calls(story: Story) -> Columns:
    """New documents every day, and the mis-set job: the whole document base again every night, the same inputs each time."""
    settings = story.raw["embedding"]
    random = story.random("embedding")
    model = story.model_code(settings["model"])
    feature = story.feature_names.index("embed_documents")
    days = len(story.dates)
    count = days * settings["batches_a_day"]
    day = np.repeat(np.arange(days), settings["batches_a_day"])
    tokens = settings["batch_tokens"] * np.exp(0.3 * random.standard_normal(count) - 0.045)
    new = columns.rows(
        count,
        time=day * MICROSECONDS_A_DAY + time_of_day(story, random, "interactive", count),
        feature=feature,
        model=model,
        operation=columns.EMBEDDINGS,
        input=np.rint(tokens),
        output=0,
        content=scramble(np.arange(count), 7_001),
    )
    nights = np.arange(story.day(settings["cron_start"]), story.day(settings["cron_end"]) + 1)
    batches = settings["cron_batches"]
    sizes = np.rint(around(random, batches, settings["cron_batch_tokens"], 0.08, 60_000, 126_000))
    batch = np.tile(np.arange(batches), len(nights))
    pace = 18.5 * 3.6e9 + batch * 2.4e6 + random.uniform(0, 2e6, len(batch))
    again = columns.rows(
        len(batch),
        time=np.repeat(nights, batches) * MICROSECONDS_A_DAY + pace.astype(np.int64) // 1000 * 1000,
        feature=feature,
        model=model,
        operation=columns.EMBEDDINGS,
        input=sizes[batch],
        output=0,
        content=scramble(batch, 7_002),
        owned=False,
        job=0,
    )
    return columns.join([new, again])


def rerank_calls(story: Story) -> Columns:
    """A reranker on trial in the search: a model that no price book knows."""
    quality = story.raw["quality"]
    random = story.random("rerank")
    parts = []
    for month in range(len(story.months)):
        days = story.days_in(month)
        count = quality["unpriced_calls"]
        day = days[pick(random, np.ones(len(days)), count)]
        parts.append(
            columns.rows(
                count,
                time=day * MICROSECONDS_A_DAY + time_of_day(story, random, "interactive", count),
                feature=story.feature_names.index("search"),
                model=story.model_code(quality["unpriced_model"]),
                operation=columns.RERANK,
                input=random.integers(1_500, 5_000, count),
                output=0,
                content=scramble(np.arange(count) + month * 10_000, 7_003),
            )
        )
    return columns.join(parts)


def failed_attempts(story: Story, calls: Columns) -> Columns:
    """Attempts that failed before the call succeeded: same content and trace, a few seconds earlier, without usage or cost.

    Their number is the file's share of the successful calls of every feature and month; cached answers and reliable features
    have none.
    """
    random = story.random("failures")
    reliable = {feature.name for feature in story.features if feature.reliable}
    month = story.month_of_day[calls["time"] // MICROSECONDS_A_DAY]
    parts = []
    for code, name in enumerate(story.feature_names):
        if name in reliable:
            continue
        for number in range(len(story.months)):
            candidates = np.flatnonzero((calls["feature"] == code) & (month == number) & ~calls["hit"])
            count = round(story.raw["quality"]["failed_attempts"] * len(candidates))
            parts.append(random.choice(candidates, count, replace=False) if count else candidates[:0])
    failed = columns.take(calls, np.concatenate(parts))
    count = columns.size(failed)
    day_start = failed["time"] // MICROSECONDS_A_DAY * MICROSECONDS_A_DAY
    back = random.uniform(1.5e6, 9e6, count).astype(np.int64) // 1000 * 1000
    failed["time"] = np.maximum(failed["time"] - back, day_start)
    failed["status"][:] = columns.FAILURE
    for name in ("input", "output", "converted", "finish"):
        failed[name][:] = -1
    failed["cached"][:] = -1
    return failed

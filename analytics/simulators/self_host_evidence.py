"""Whether own GPUs pay for these calls at all, how many replicas keep waiting short, and which GPUs hold the model."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from analytics.simulators.drawn_effects import own_model_work
from analytics.simulators.gpu_rightsizing import price_of
from analytics.simulators.lever_page import STEPS
from analytics.simulators.self_host import (
    HOURS_OF_A_MONTH,
    SelfHost,
    break_even,
    replicas_for_latency,
    tokens_per_second,
)
from analytics.simulators.situation import Situation
from analytics.simulators.to_the_cent import cents
from analytics.simulators.vram import find_architecture, fitting_gpus, memory_needed
from warehouse.errors import InputError
from warehouse.gpu_catalogue import ARTICLE_SOURCE

LIMITS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds that a request may wait, by row of the table."""

LATENCY_COLUMNS = ("limit", "replicas", "share_waiting", "p95_wait", "erlang", "cost")
FITTING_COLUMNS = (
    "gpu", "gpus_needed", "memory_gb", "memory_share", "usd_per_hour", "usd_per_month", "provider", "instance_type", "effective_date", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Worth:
    """The break-even of one replica for the calls that the lever is for.

    price: USD per 1,000,000 tokens that they cost today; tokens_per_month: that they have; replica_cost: USD per month of one replica that always
    runs, people and the rest included; break_even_tokens: per month, from which it is cheaper; steady: tokens per second that these are; makes:
    tokens per
    second that a replica makes of calls like these, kept as busy as the lever keeps it.
    """

    price: float
    tokens_per_month: float
    replica_cost: float
    break_even_tokens: float
    steady: float
    makes: float

    @property
    def is_feasible(self) -> bool:
        """Whether one replica can make so many tokens as it takes to pay for it."""
        return self.steady <= self.makes

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        start = (
            f"These calls cost {self.price:,.2f} USD per 1M tokens; a replica costs {self.replica_cost:,.0f} USD a month, so it pays from "
            f"{self.break_even_tokens / 1e6:,.0f}M tokens a month on ({self.steady:,.0f} tokens per second, day and night)"
        )
        if not self.is_feasible:
            return f"{start}. It never does: a replica makes {self.makes:,.0f} tokens per second of calls like these."
        if self.tokens_per_month < self.break_even_tokens:
            return f"{start}; these calls have {self.tokens_per_month / 1e6:,.0f}M, which is too few."
        has = f"these calls have {self.tokens_per_month / 1e6:,.0f}M"
        return f"{start}; {has}, and a replica makes up to {self.makes:,.0f} tokens per second of them."


def worth(setting: SelfHost, situation: Situation) -> Worth:
    """The break-even of the lever's replica for all calls that it is for, whatever its share. Raises InputError when no such call has a cost and
    tokens, or
    the model does not fit."""
    workload = situation.workload
    at = np.flatnonzero(setting.touches(situation))
    weight = workload.weight[at]
    inputs, outputs = (float((each[at] * weight).sum()) for each in (workload.input_tokens, workload.output_tokens))
    spent = float(workload.spent()[at].sum())
    if not (inputs + outputs > 0 and spent > 0):
        raise InputError("no call that an own model could serve has tokens and a cost: choose other calls")
    scale = situation.window.scale_to_month
    prefill, decode = tokens_per_second(setting)
    makes = (inputs + outputs) / (inputs / prefill + outputs / decode) * setting.target_utilization
    hourly = price_of(setting.gpu) if setting.usd_per_hour is None else setting.usd_per_hour
    cost = hourly * setting.gpus * HOURS_OF_A_MONTH + setting.other_usd_per_month
    price = spent / (inputs + outputs) * 1e6
    point = break_even(cost, price)
    return Worth(price, (inputs + outputs) * scale, cost, point.tokens_per_month, point.tokens_per_second, makes)


def replicas_words(setting: SelfHost, situation: Situation) -> str:
    """How many replicas the lever pays for, in a sentence: in the busiest hour, in the quietest, and on average; its `share` is a step of the slider.

    Raises InputError when the model does not fit.
    """
    work = own_model_work(setting, situation, STEPS) if setting.share else np.zeros(1)
    if not work.any():
        return "None: no call is moved."
    running = setting.replicas(work)
    most, least, mean = int(running.max()), int(running.min()), float(running.mean())
    replicas = "replica" if most == 1 else "replicas"
    if most == least:
        return f"{most:,} {replicas} in every hour of the period, the busiest one too."
    return f"{most:,} {replicas} in the busiest hour of the period, {least:,} in the quietest, {mean:,.1f} on average."


def replicas_by_latency(setting: SelfHost, situation: Situation, *, target: float = 0.05) -> pd.DataFrame:
    """How many replicas each limit of waiting needs on the day with the most work.

    Columns: limit (seconds), replicas, share_waiting (of requests that wait longer), p95_wait (seconds), erlang (replicas by formula, for
    independent
    arrivals), cost (Decimal, USD per month if they always run). Raises InputError as `replicas_for_latency`.
    """
    hourly = price_of(setting.gpu) if setting.usd_per_hour is None else setting.usd_per_hour
    rows = []
    for limit in LIMITS:
        found = replicas_for_latency(setting, situation, limit=limit, target=target)
        rows.append(
            {
                "limit": limit,
                "replicas": found.replicas,
                "share_waiting": found.share_waiting,
                "p95_wait": found.p95_wait,
                "erlang": found.erlang,
                "cost": cents(found.replicas * setting.gpus * hourly * HOURS_OF_A_MONTH),
            }
        )
    return pd.DataFrame(rows, columns=list(LATENCY_COLUMNS), dtype=object)


def gpus_that_fit(setting: SelfHost) -> pd.DataFrame:
    """GPUs whose memory holds the lever's model, the cheapest first (unknown prices last), one row per GPU and number of them.

    Columns: gpu, gpus_needed, memory_gb (of one), memory_share (used), usd_per_hour and usd_per_month (Decimal, of all needed; 730 hours), provider,
    instance_type, effective_date, source.
    """
    needed = memory_needed(
        find_architecture(setting.model), bits=setting.bits, context=setting.context, batch=setting.batch
    )
    frame = fitting_gpus(needed)
    # The reference case's snapshot counts only where no other source has the GPU.
    sold = set(frame.loc[frame["source"] != ARTICLE_SOURCE, "gpu"])
    frame = frame[(frame["source"] != ARTICLE_SOURCE) | ~frame["gpu"].isin(sold)]
    frame = frame[frame["usd_per_hour"].notna()].drop_duplicates(["gpu", "gpus_needed"]).reset_index(drop=True)
    months = pd.Series([Decimal(each) * HOURS_OF_A_MONTH for each in frame["usd_per_hour"]], dtype=object)
    frame = frame.assign(usd_per_month=months)
    return frame[[name for name in FITTING_COLUMNS if name in frame]]

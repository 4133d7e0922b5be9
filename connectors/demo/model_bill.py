"""The model provider's invoice: what the traced calls used, and a little that bypassed the gateway.

A line is a UTC day, a model, a direction and a processing; its cost is exactly its tokens times their price. No line is ever below the
traces. The calls that bypassed the gateway are sized so that the month meets the invoice of the file to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.demo import columns
from connectors.demo.billing_lines import Line, line
from connectors.demo.columns import Columns
from connectors.demo.story import DOLLAR, MICROSECONDS_A_DAY, Story, ticks
from warehouse.errors import InputError

DIRECTIONS = ("input", "cached", "output")
_CENT = DOLLAR // 100
_MILLION = Decimal(1_000_000)


def traced_tokens(story: Story, calls: Columns) -> NDArray[np.int64]:
    """Tokens that the provider billed for traced calls: array of day, model, processing, direction."""
    openai = np.array([model.provider == "openai" for model in story.models])
    at = np.flatnonzero(openai[calls["model"]] & (calls["status"] == columns.SUCCESS) & ~calls["hit"])
    day = calls["time"][at] // MICROSECONDS_A_DAY
    shape = (len(story.dates), len(story.models), 2)
    cell = (day * shape[1] + calls["model"][at]) * 2 + calls["processing"][at]
    tokens = np.zeros((*shape, len(DIRECTIONS)), dtype=np.int64)
    cached = calls["cached"][at]
    for place, amount in enumerate((calls["input"][at] - cached, cached, calls["output"][at])):
        # float64 counts whole tokens exactly up to 2**53; a day has far fewer
        sums = np.bincount(cell, weights=amount.astype(float), minlength=int(np.prod(shape)))
        tokens[..., place] = sums.astype(np.int64).reshape(shape)
    return tokens


def _prices(story: Story) -> NDArray[np.int64]:
    """Ticks per token: array of model, processing, direction."""
    return np.array(
        [[[one.price(way, batch=batch) for way in DIRECTIONS] for batch in (False, True)] for one in story.models]
    )


def meet(remainder: int, first: int, second: int) -> tuple[int, int]:
    """Whole numbers a, b >= 0 with a x first + b x second = remainder, a as small as possible.

    Raises InputError when there are none.
    """
    for a in range(second // np.gcd(first, second)):
        rest = remainder - int(a) * first
        if rest >= 0 and rest % second == 0:
            return int(a), rest // second
    raise InputError(f"no whole tokens cost {remainder} ticks at {first} and {second} a token", file="data/demo.toml")


def _bypass(
    random: np.random.Generator,
    traced: NDArray[np.int64],
    prices: NDArray[np.int64],
    missing: int,
    close: tuple[int, int],
) -> NDArray[np.int64]:
    """Tokens beside the traces that cost exactly `missing` ticks: spread over the lines, the last ticks on the two lines `close`.

    `traced` and `prices` are flat, one element per line; `close` are places in them.
    """
    cost = traced * prices
    wish = cost * random.uniform(0.6, 1.4, len(cost))
    # a few ticks are kept back, so that the last two lines can always close the gap
    reserve = 4 * int(prices.max())
    tokens = np.floor(wish / wish.sum() * max(missing - reserve, 0) / np.maximum(prices, 1)).astype(np.int64)
    tokens[prices == 0] = 0
    rest = missing - int((tokens * prices).sum())
    for place, more in zip(close, meet(rest, int(prices[close[0]]), int(prices[close[1]])), strict=True):
        tokens[place] += more
    return tokens


def openai_lines(story: Story, calls: Columns) -> Iterator[Line]:
    """All lines of the provider, LLM API and embedding."""
    random = story.random("bypass")
    traced, prices = traced_tokens(story, calls), _prices(story)
    embedding = story.model_code(story.raw["embedding"]["model"])
    chat = [code for code, model in enumerate(story.models) if model.provider == "openai" and code != embedding]
    for number in range(len(story.months)):
        days = story.days_in(number)
        month_traced = traced[days][:, chat]
        flat_prices = np.broadcast_to(prices[chat], month_traced.shape).ravel()
        missing = _missing(story, "llm", number, int((month_traced.ravel() * flat_prices).sum()))
        last = np.arange(month_traced.size).reshape(month_traced.shape)[-1, :, 0]
        routed = bool(month_traced[-1, -1, 0, 1] > 0)
        close = (int(last[0, 0]), int(last[-1, 1])) if routed else (int(last[0, 2]), int(last[0, 0]))
        bypassed = _bypass(random, month_traced.ravel(), flat_prices, missing, close)
        total = month_traced + bypassed.reshape(month_traced.shape)
        for place, day in enumerate(days):
            for slot, code in enumerate(chat):
                for batch in (0, 1):
                    for way, direction in enumerate(DIRECTIONS):
                        tokens = int(total[place, slot, batch, way])
                        if tokens:
                            price = Decimal(int(prices[code, batch, way])) / DOLLAR
                            yield _line(story, int(day), story.models[code].name, direction, bool(batch), tokens, price)
        yield from _embedding_lines(story, random, number, days, traced[days, embedding, 0, 0])


def _missing(story: Story, what: str, month: int, traced: int) -> int:
    """Ticks of the invoice that no trace explains; where the file names no invoice, the usual share up to a whole cent."""
    named = story.raw["bills"][what][month]
    if named:
        total = ticks(named)
    else:
        share = round(1 / float(story.raw["bills"]["bypass"]))
        total = -(-(traced + traced // share) // _CENT) * _CENT
    if total < traced:
        raise InputError(f"the traces of month {month + 1} cost more than its {what} invoice", file="data/demo.toml")
    return total - traced


def _embedding_lines(
    story: Story,
    random: np.random.Generator,
    number: int,
    days: NDArray[np.int64],
    traced: NDArray[np.int64],
) -> Iterator[Line]:
    bills = story.raw["bills"]
    used = days[traced > 0]
    if not len(used):
        return
    large = story.raw["embedding"]["model"]
    price, small = story.models[story.model_code(large)].input or 0, ticks(Decimal(bills["notebook_price"]) / 1_000_000)
    notebook = np.full(len(used), bills["notebook_tokens_a_day"], dtype=np.int64)
    own = int(notebook.sum()) * small
    named = bills["embedding"][number]
    spent = int(traced.sum()) * price
    total = ticks(named) if named else -(-(spent + spent // 100 + own) // _CENT) * _CENT
    tokens = np.concatenate([traced[traced > 0], np.zeros(1, dtype=np.int64)])
    prices = np.array([price] * len(used) + [small])
    extra = _bypass(random, tokens, prices, total - spent - own, (len(used) - 1, len(used)))
    notebook[-1] += extra[-1]
    for place, day in enumerate(used):
        yield _line(story, int(day), large, "input", False, int(tokens[place] + extra[place]), Decimal(price) / DOLLAR)
        yield _line(
            story, int(day), bills["notebook_model"], "input", False, int(notebook[place]), Decimal(small) / DOLLAR
        )


def _line(story: Story, day: int, model: str, direction: str, batch: bool, tokens: int, price: Decimal) -> Line:
    start = datetime.combine(story.dates[day], datetime.min.time())
    words = {"input": "input", "cached": "cached input", "output": "output"}[direction]
    sku = f"{model}-{words.replace(' ', '-')}{'-batch' if batch else ''}"
    details: dict[str, Any] = {
        "x_Model": model,
        "x_TokenDirection": "output" if direction == "output" else "input",
        "x_CacheAction": "read" if direction == "cached" else None,
    }
    return line(
        story,
        start,
        start + timedelta(days=1),
        provider="OpenAI",
        cost=tokens * price,
        tags={"project": "assistant", "team": "ai", "env": "prod"},
        ServiceCategory="AI and Machine Learning",
        ServiceSubcategory="Generative AI",
        ServiceName="OpenAI API",
        SkuId=sku,
        SkuPriceId=f"{sku}-usd",
        SkuMeter="Embedding tokens" if "embedding" in model else f"{words.capitalize()} tokens",
        ChargeDescription=f"{model}, {words} tokens{', batch' if batch else ''}",
        ListUnitPrice=price * _MILLION,
        ContractedUnitPrice=price * _MILLION,
        PricingQuantity=Decimal(tokens) / _MILLION,
        PricingUnit="1000000 Tokens",
        ConsumedQuantity=Decimal(tokens),
        ConsumedUnit="Tokens",
        SubAccountId="proj-demo",
        SubAccountName="demo",
        x_UsageType="batch" if batch else "standard",
        **details,
    )

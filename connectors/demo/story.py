"""The demo company's parameters: `data/demo.toml`, read into small frozen values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from warehouse.configuration import DATA
from warehouse.errors import InputError

DOLLAR = 10**10
"""Money inside the generator is a whole number of 1e-10 USD, the grain of a call's cost: sums are exact."""

TIERS = ("free", "pro", "enterprise")
MICROSECONDS_A_DAY = 86_400_000_000


def ticks(dollars: str | Decimal) -> int:
    """An amount in USD as whole ticks of 1e-10 USD. Raises InputError when it is finer than that."""
    exact = Decimal(dollars) * DOLLAR
    if exact != exact.to_integral_value():
        raise InputError(f"{dollars} USD is finer than 1e-10 USD", file="data/demo.toml")
    return int(exact)


@dataclass(frozen=True)
class Size:
    """Mean tokens of a successful call."""

    input: float
    output: float


@dataclass(frozen=True)
class Model:
    """A model and what one token of it costs, in ticks; None: no price is known."""

    name: str
    raw: str
    provider: str
    input: int | None
    cached_input: int | None
    output: int | None
    batch_share: Decimal
    throughput: float

    def price(self, direction: str, *, batch: bool) -> int:
        """Ticks for one token: direction is input, cached or output."""
        whole = {"input": self.input, "cached": self.cached_input, "output": self.output}[direction] or 0
        return int(whole * self.batch_share) if batch else whole


@dataclass(frozen=True)
class Feature:
    """What a feature's calls look like (see the comments in the file)."""

    name: str
    project: str
    team: str
    calls: int
    simple: Size
    input_range: tuple[int, int]
    spread: float
    max_tokens: int
    output_spread: float = 0.35
    complex: Size | None = None
    complex_share: float = 0.0
    model: str = "gpt-4o-2024-05-13"
    tiers: Mapping[str, float] | None = None
    hours: str = "interactive"
    routed: bool = False
    grows: bool = True
    stream: bool = False
    reliable: bool = False
    conversion: float | None = None
    context: int = 0
    constant_prefix: int = 0
    turns: float = 0.0
    questions: int = 0
    question_skew: float = 0.0
    asked_again: float = 0.0

    @property
    def fixed_input(self) -> int:
        """Input tokens that every call of the feature carries."""
        return self.context + self.constant_prefix

    @property
    def classes(self) -> tuple[Size, ...]:
        """Sizes of simple and, where there are any, complex calls."""
        return (self.simple,) if self.complex is None else (self.simple, self.complex)


@dataclass(frozen=True)
class Story:
    """The whole file, with the calendar and the seed."""

    raw: Mapping[str, Any]
    seed: int

    def random(self, *names: str) -> np.random.Generator:
        """A stream of its own for every part, so that changing one part leaves the others as they are."""
        return np.random.default_rng([self.seed, *(crc32(name.encode()) for name in names)])

    @cached_property
    def start(self) -> date:
        """First day."""
        return _date(self.raw["period"]["start"])

    @cached_property
    def months(self) -> tuple[str, ...]:
        """Months as YYYY-MM."""
        return tuple(self.raw["period"]["months"])

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """All days, UTC."""
        days, day = [], self.start
        while day.strftime("%Y-%m") in self.months:
            days.append(day)
            day += timedelta(days=1)
        return tuple(days)

    @cached_property
    def month_of_day(self) -> NDArray[np.int64]:
        """Index of the month, per day."""
        return np.array([self.months.index(day.strftime("%Y-%m")) for day in self.dates])

    @cached_property
    def weekend(self) -> NDArray[np.bool_]:
        """Whether a day is a Saturday or Sunday."""
        return np.array([day.weekday() >= 5 for day in self.dates])

    @cached_property
    def start_microseconds(self) -> int:
        """Microseconds since 1970 at the first day's midnight, UTC."""
        return (self.start - date(1970, 1, 1)).days * MICROSECONDS_A_DAY

    def days_in(self, month: int) -> NDArray[np.int64]:
        """Day numbers of one month."""
        return np.flatnonzero(self.month_of_day == month)

    def day(self, when: date) -> int:
        """Day number of a date (0 = first day; may lie outside the period)."""
        return (_date(when) - self.start).days

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """All models, in the file's order: their index is the model code of a call."""
        return tuple(_model(name, values) for name, values in self.raw["models"].items())

    def model_code(self, name: str) -> int:
        """Index of a model."""
        return [model.name for model in self.models].index(name)

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """The features with a section of their own."""
        return tuple(_feature(values) for values in self.raw["feature"])

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names by feature code."""
        return (*(feature.name for feature in self.features), "embed_documents")

    @cached_property
    def changes(self) -> Mapping[str, Any]:
        """What was changed in April, and from when on."""
        return dict(self.raw["changes"])

    def calls_in(self, feature: Feature, month: int) -> int:
        """Successful calls of a feature in a month before any change."""
        volume = float(self.raw["period"]["volume"][month]) if feature.grows else 1.0
        return round(feature.calls * volume)


def _date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _size(value: Mapping[str, float]) -> Size:
    return Size(float(value["input"]), float(value["output"]))


def _model(name: str, values: Mapping[str, Any]) -> Model:
    def per_token(key: str) -> int | None:
        return ticks(Decimal(values[key]) / 1_000_000) if key in values else None

    return Model(
        name=name,
        raw=str(values.get("raw", name)),
        provider=str(values["provider"]),
        input=per_token("input"),
        cached_input=per_token("cached_input"),
        output=per_token("output"),
        batch_share=Decimal(values.get("batch", "1")),
        throughput=float(values["throughput"]),
    )


def _feature(values: Mapping[str, Any]) -> Feature:
    fields = dict(values)
    fields["simple"] = _size(fields["simple"])
    if "complex" in fields:
        fields["complex"] = _size(fields["complex"])
    fields["input_range"] = tuple(fields["input_range"])
    return Feature(**fields)


def read_story(seed: int, path: Path = DATA / "demo.toml") -> Story:
    """Read the parameters. Raises InputError when the file is missing or not TOML."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("the demo company's parameters are missing; reinstall Percall", file=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not valid TOML: {error}", file=str(path)) from error
    return Story(raw, seed)

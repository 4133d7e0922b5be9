"""What a lever is: a few slider values, and what they would have changed.

A lever is a frozen dataclass in a module of this package, marked with `@lever`:

    @lever
    @dataclass(frozen=True)
    class OutputLimit:
        name: ClassVar[str] = "output-limit"           # its `kind` in a scenario file
        title: ClassVar[str] = "Output limits"
        cap: float = math.inf                          # sliders, each with its neutral value as default where there is one
        calls: Selection = Selection()                 # which calls it is for

        @classmethod
        def neutral(cls) -> OutputLimit: ...           # the setting that changes nothing
        def touches(self, situation): ...              # mask: the calls that it may change (an upper bound for evidence)
        def apply(self, situation): ...                # the situation as it would have been
        def assumptions(self): ...                     # sentences a reader must know

Rules for `apply`: pure; only the verbs of `Workload` (`change`, `vanish`, `repeat`, `add_overhead`) and of `Infrastructure`; look at
`workload.active`, because levers before may have made calls vanish, and at the current model and tokens, because they may have changed;
the neutral setting answers the same situation. What is expensive goes into `situation.memo`. Wrong slider values raise InputError with a sentence, in
`__post_init__`, so that no wrong lever exists.

Fields must be bool, int, float, str, None, a date, a tuple of numbers or strings, or a `Selection`.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from analytics.simulators.situation import Situation
from analytics.simulators.workload import Workload
from warehouse.errors import InputError


@runtime_checkable
class Lever(Protocol):
    """One what-if with its slider values; see the module."""

    name: ClassVar[str]
    title: ClassVar[str]

    @classmethod
    def neutral(cls) -> Self:
        """The setting that changes nothing, to the bit."""

    def apply(self, situation: Situation) -> Situation:
        """The situation as it would have been. Raises InputError when the lever cannot act on it, in a sentence."""

    def touches(self, situation: Situation) -> NDArray[np.bool_]:
        """Mask of the calls that it may change; all others stay as they are. A lever on resources alone answers False everywhere."""

    def assumptions(self) -> list[str]:
        """What is assumed, in sentences."""


@dataclass(frozen=True)
class Selection:
    """Which calls a lever is for: those with one of the named values in each column; an empty tuple means all.

    In a scenario file: `calls = { feature = ["ask", "search"], user_tier = ["free"] }`.
    """

    feature: tuple[str, ...] = ()
    user_tier: tuple[str, ...] = ()
    team: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    operation: tuple[str, ...] = ()
    processing: tuple[str, ...] = ()

    def mask(self, workload: Workload) -> NDArray[np.bool_]:
        """The calls, vanished ones included. Raises InputError for a name that no call has."""
        chosen = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name)}
        return workload.where(**chosen)

    def of_any_feature(self) -> Selection:
        """The same choice, whatever the feature."""
        return replace(self, feature=())

    @property
    def words(self) -> str:
        """The selection in words: "all calls", "feature ask, search; user_tier free"."""
        parts = [
            f"{each.name} {', '.join(getattr(self, each.name))}" for each in fields(self) if getattr(self, each.name)
        ]
        return "; ".join(parts) or "all calls"


EVERY_CALL = Selection()
"""No choice: all calls; the default of a lever's `calls`."""

LEVERS: dict[str, type[Lever]] = {}
"""Levers by name, as far as their modules are imported; `find_lever` imports them all."""

Class = TypeVar("Class")


def lever(kind: type[Class]) -> type[Class]:
    """Class decorator: makes a lever known under its `name`, for scenario files and addresses."""
    LEVERS[kind.name] = kind  # type: ignore[attr-defined, assignment]
    return kind


def all_levers() -> dict[str, type[Lever]]:
    """Every lever of this package by name."""
    package = importlib.import_module(__package__ or "analytics.simulators")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(LEVERS.items()))


def find_lever(name: str) -> type[Lever]:
    """The lever of this name. Raises InputError that lists the names that exist."""
    if name not in LEVERS:
        all_levers()
    try:
        return LEVERS[name]
    except KeyError:
        raise InputError(f"there is no lever {name!r}; choose {', '.join(sorted(LEVERS)) or 'none yet'}") from None


def checked(value: float, what: str, low: float, high: float) -> float:
    """`value` when it lies from `low` to `high`. Raises InputError that names the slider otherwise (also for what is no number)."""
    if not low <= value <= high:
        raise InputError(f"{what} must lie between {low:g} and {high:g}, not {value:g}")
    return value

"""What the owner configured: `percall.toml`, read once, with a default for everything.

Nothing here is secret: credentials come from the environment or from Streamlit's secrets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from warehouse.errors import InputError
from warehouse.tag_rules import TagRule, read_tag_rules

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"
DEFAULT_STORE = DATA / "store"


@dataclass(frozen=True)
class Configuration:
    """Settings that change what a number means.

    `reporting_time_zone` cuts hours into days everywhere. `tag_keys` names, per dimension, the tag keys of billing lines and the
    label keys of calls that are read for it, first match wins. `required_tags` are the dimensions that every
    resource and call must carry. `usual_lag_days` says, per source, how long its data take
    to be complete: younger days are badged partial. `prefer_reported_cost`: whose figure counts where both are known.

    `virtual_tags` are the rules of the sections [[virtual_tag]] (see `warehouse.tag_rules`); `allocation`, `sources`, `budgets`, `alerts`,
    `people` and `engine` the sections [[allocation]], [[source]], [[budget]], [alerts], [people] and [engine] (or `engine = "..."`, as
    {"connection": "..."}) as they stand: what reads them checks them. `path` is the file that all of it comes from.
    """

    reporting_time_zone: str = "UTC"
    reporting_currency: str = "USD"
    tag_keys: dict[str, tuple[str, ...]] = field(
        default_factory=lambda: {
            "project": ("project",),
            "feature": ("feature",),
            "team": ("team",),
            "env": ("env", "environment", "deployment.environment.name"),
            "user_tier": ("user_tier", "tier"),
        }
    )
    required_tags: tuple[str, ...] = ("team", "project", "env", "feature")
    usual_lag_days: dict[str, int] = field(
        default_factory=lambda: {
            "aws-cur": 2,
            "aws-cost-explorer": 2,
            "focus": 2,
            "openai-usage": 1,
            "anthropic-usage": 1,
            "gcp-export": 2,
            "litellm": 0,
            "langfuse-export": 0,
            "calls": 0,
        }
    )
    category_rules: Path = DATA / "cost_categories.toml"
    price_overrides: Path | None = None
    store_texts: bool = False
    prefer_reported_cost: bool = True
    virtual_tags: tuple[TagRule, ...] = ()
    allocation: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Mapping[str, Any], ...] = ()
    budgets: tuple[Mapping[str, Any], ...] = ()
    alerts: Mapping[str, Any] = field(default_factory=dict)
    people: Mapping[str, Any] = field(default_factory=dict)
    engine: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The reporting time zone."""
        return ZoneInfo(self.reporting_time_zone)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_Form = tuple[Callable[[object], bool], str]
_TEXT: _Form = (lambda value: isinstance(value, str), '"..."')
_FORMS: dict[str, _Form] = {
    "reporting_time_zone": (_TEXT[0], '"Asia/Ho_Chi_Minh"'),
    "reporting_currency": (
        lambda value: isinstance(value, str) and re.fullmatch("[A-Z]{3}", value) is not None,
        '"USD", an ISO 4217 code',
    ),
    "tag_keys": (
        lambda value: isinstance(value, dict) and all(_are_texts(keys) for keys in value.values()),
        '{ feature = ["feature", "use_case"] }',
    ),
    "required_tags": (
        lambda value: (
            isinstance(value, list) and bool(value) and all(name in Configuration().tag_keys for name in value)
        ),
        '["team", "project", "env", "feature"], of project, feature, team, env, user_tier',
    ),
    "usual_lag_days": (
        lambda value: isinstance(value, dict) and all(_is_count(days) for days in value.values()),
        '{ "aws-cur" = 2 }',
    ),
    "store_texts": (lambda value: isinstance(value, bool), "true"),
    "prefer_reported_cost": (lambda value: isinstance(value, bool), "true"),
}
"""What a setting's value must be, and how it is written; any other setting is a text."""

_SECTIONS = ("virtual_tags", "allocation", "sources", "budgets", "alerts", "people", "engine", "path")
"""Fields of the configuration that are no settings of [percall]."""

_TOP = ("alerts", "allocation", "budget", "engine", "people", "percall", "source", "virtual_tag")
"""Sections of the file."""


def _sections(raw: Mapping[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    entries = raw.get(name, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"these are written as [[{name}]], one section each", file=str(path))
    return entries


def _section(raw: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    section = raw.get(name, {})
    if not isinstance(section, dict):
        raise InputError(f"these settings belong below a line [{name}]", file=str(path))
    return section


def _engine(raw: Mapping[str, Any], settings: dict[str, Any], path: Path) -> dict[str, Any]:
    """The section [engine], or the connection string that stands for it: above all sections or in [percall]."""
    short = settings.pop("engine", raw.get("engine"))
    if isinstance(short, str):
        return {"connection": short}
    if short is not None and short is not raw.get("engine"):
        raise InputError('write engine = "clickhouse://host:8123/percall"', file=str(path), column="engine")
    return _section(raw, "engine", path)


def _require_forms(settings: Mapping[str, Any], path: Path) -> None:
    """Raises InputError for the first value that its setting cannot have."""
    for key, value in settings.items():
        fits, example = _FORMS.get(key, _TEXT)
        if not fits(value):
            raise InputError(f"{value!r} cannot be used; write it like {key} = {example}", file=str(path), column=key)


def read_configuration(path: Path | None = None) -> Configuration:
    """Read `percall.toml` (default: in the working folder, all defaults when absent).

    Raises InputError for a file that is not TOML, an unknown section or key, a value of another type, an unknown time zone, or a rule that
    cannot be used.
    """
    explicit = path is not None
    path = path or Path("percall.toml")
    if not path.exists():
        if explicit:
            raise InputError("this configuration file does not exist", file=str(path))
        return Configuration()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", file=str(path)) from error
    strange = sorted(set(raw) - set(_TOP))
    if strange:
        raise InputError(f"unknown section {strange[0]!r}; known are {', '.join(_TOP)}", file=str(path))
    settings = raw.get("percall", {})
    if not isinstance(settings, dict):
        raise InputError("the settings belong below a line [percall]", file=str(path))
    settings = dict(settings)
    engine = _engine(raw, settings, path)
    known = set(Configuration.__dataclass_fields__) - set(_SECTIONS)
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InputError(
            f"unknown setting {unknown[0]!r} in [percall]; known are {', '.join(sorted(known))}", file=str(path)
        )
    _require_forms(settings, path)
    if "tag_keys" in settings:
        settings["tag_keys"] = Configuration().tag_keys | {k: tuple(v) for k, v in settings["tag_keys"].items()}
    if "required_tags" in settings:
        settings["required_tags"] = tuple(dict.fromkeys(settings["required_tags"]))
    if "usual_lag_days" in settings:
        settings["usual_lag_days"] = Configuration().usual_lag_days | settings["usual_lag_days"]
    for key in ("category_rules", "price_overrides"):
        if key in settings:
            settings[key] = (path.parent / settings[key]).resolve()
    configuration = Configuration(
        **settings,
        virtual_tags=read_tag_rules(_sections(raw, "virtual_tag", path), str(path)),
        allocation=tuple(_sections(raw, "allocation", path)),
        sources=tuple(_sections(raw, "source", path)),
        budgets=tuple(_sections(raw, "budget", path)),
        alerts=_section(raw, "alerts", path),
        people=_section(raw, "people", path),
        engine=engine,
        path=path,
    )
    try:
        _ = configuration.zone
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            f"unknown time zone {configuration.reporting_time_zone!r}; use a name such as Asia/Ho_Chi_Minh",
            file=str(path),
        ) from error
    return configuration

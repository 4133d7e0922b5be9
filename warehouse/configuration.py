"""What the owner configured: `percall.toml`, read once, with a default for everything.

Nothing here is secret: credentials come from the environment or from Streamlit's secrets.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from warehouse.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"
DEFAULT_STORE = DATA / "store"


@dataclass(frozen=True)
class Configuration:
    """Settings that change what a number means.

    `reporting_time_zone` cuts hours into days everywhere. `tag_keys` names, per dimension, the tag keys of billing lines and the
    label keys of calls that are read for it, first match wins. `usual_lag_days` says, per source, how long its data take
    to be complete: younger days are badged partial. `prefer_reported_cost`: whose figure counts where both are known.
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
    usual_lag_days: dict[str, int] = field(
        default_factory=lambda: {
            "aws-cur": 2,
            "focus": 2,
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

    @property
    def zone(self) -> ZoneInfo:
        """The reporting time zone."""
        return ZoneInfo(self.reporting_time_zone)

    @property
    def rollup_key(self) -> str:
        """Changes whenever stored roll-ups would be cut or classified differently."""
        rules = self.category_rules.read_text() if self.category_rules.exists() else ""
        parts = [self.reporting_time_zone, {k: list(v) for k, v in self.tag_keys.items()}, rules]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def read_configuration(path: Path | None = None) -> Configuration:
    """Read `percall.toml` (default: in the working folder, all defaults when absent).

    Raises InputError for a file that is not TOML, an unknown key, or an unknown time zone.
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
    settings = dict(raw.get("percall", {}))
    known = set(Configuration.__dataclass_fields__)
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InputError(
            f"unknown setting {unknown[0]!r} in [percall]; known are {', '.join(sorted(known))}", file=str(path)
        )
    if "tag_keys" in settings:
        settings["tag_keys"] = Configuration().tag_keys | {k: tuple(v) for k, v in settings["tag_keys"].items()}
    if "usual_lag_days" in settings:
        settings["usual_lag_days"] = Configuration().usual_lag_days | settings["usual_lag_days"]
    for key in ("category_rules", "price_overrides"):
        if key in settings:
            settings[key] = (path.parent / settings[key]).resolve()
    configuration = Configuration(**settings)
    try:
        _ = configuration.zone
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InputError(
            f"unknown time zone {configuration.reporting_time_zone!r}; use a name such as Asia/Ho_Chi_Minh",
            file=str(path),
        ) from error
    return configuration

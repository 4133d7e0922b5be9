"""Which model a call used, whatever its source called it: one provider name and one model id.

The rules are here, the names in `data/model_aliases.toml`. Nothing is looked up elsewhere: an unknown id passes
through in lower case."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from warehouse.configuration import DATA

ALIASES = DATA / "model_aliases.toml"

_DATE = re.compile(r"[-@](?:20\d{2}-[01]\d-[0-3]\d|20\d{2}[01]\d[0-3]\d)$")
_BEDROCK_REVISION = re.compile(r"(?::\d+)?(?::\d+k|:mm)?$")
_BEDROCK_VERSION = re.compile(r"(?:-v\d+)?(?::\d+)?(?::\d+k|:mm)?$")
_BEDROCK_GEOGRAPHY = re.compile(
    r"^(global|regional|us|us-gov|eu|apac|ap|jp|au|ca|in|sa|uk|mx|me|af|il)\.(?=[a-z0-9-]+\.)"
)
_BEDROCK_VENDOR = re.compile(
    r"^(amazon|anthropic|meta|mistral|cohere|ai21|deepseek|qwen|openai|google|nvidia|writer|zai|moonshotai|moonshot|minimax|stability|twelvelabs)\."
)
_AWS_REGION = re.compile(r"^[a-z]{2}(?:-gov)?-[a-z]+-\d$")


@dataclass(frozen=True)
class _Names:
    """The alias file, read."""

    providers: dict[str, str]
    hosts: frozenset[str]
    guess: tuple[tuple[str, str], ...]
    keep_dated: frozenset[str]
    bedrock_global: tuple[str, ...]
    bedrock_versioned: tuple[str, ...]
    models: dict[str, dict[str, str]]


@lru_cache(maxsize=1)
def _names() -> _Names:
    raw = tomllib.loads(ALIASES.read_text(encoding="utf-8"))
    return _Names(
        providers=raw["providers"],
        hosts=frozenset(raw["hosts"]["names"]),
        guess=tuple((pattern, entry["provider"]) for entry in raw["guess"] for pattern in entry["patterns"]),
        keep_dated=frozenset(raw["dated"]["keep"]),
        bedrock_global=tuple(raw["bedrock"]["global"]),
        bedrock_versioned=tuple(raw["bedrock"]["versioned"]),
        models=raw["models"],
    )


def canonical_provider(provider: str | None) -> str | None:
    """The one name of a provider ("bedrock" -> "aws"); unknown names in lower case; None for None, "" and mere
    gateways."""
    name = (provider or "").strip().lower()
    return _names().providers.get(name, name) or None


def canonical_model(provider: str | None, model_raw: str) -> tuple[str | None, str]:
    """Provider and model of a call, from what its source wrote.

    `("openai", "openai/gpt-4o-2024-08-06")` -> `("openai", "gpt-4o")`;
    `(None, "bedrock/us.amazon.nova-pro-v1:0")` -> `("aws", "nova-pro")`;
    `("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0")` -> `("aws", "claude-haiku-4-5")`: the plain name carries
    the regional price; the global profile, where it is cheaper, is `"global.claude-haiku-4-5"`.

    A known provider in front of the model id ("azure/gpt-4o") is nearer to the truth than the provider that the
    source gives: a client library names its own vendor even when it talks to a gateway. Providers that host models of
    others keep the vendor in the id ("groq", "openai/gpt-oss-120b"). A trailing date is dropped unless that snapshot
    has a price of its own. Stable: applied to its own answer's provider and the same id, or to its own answer, it
    gives the same again. Never raises."""
    owner, dated = _identify(provider, model_raw)
    return owner, _undated(owner, dated)


def price_ids(provider: str | None, model_raw: str) -> tuple[str, ...]:
    """Under which model ids a price of this call is looked for, the most exact first: the dated snapshot, then the
    canonical id."""
    owner, dated = _identify(provider, model_raw)
    return tuple(dict.fromkeys((dated, _undated(owner, dated))))


def _identify(provider: str | None, model_raw: str) -> tuple[str | None, str]:
    """Provider, and the model id without route, vendor and version marks but with its date."""
    names = _names()
    owner = canonical_provider(provider)
    model = model_raw.strip().lower()
    while "/" in model:
        head, rest = model.split("/", 1)
        prefix = names.providers.get(head)
        if prefix is None or not rest or (owner in names.hosts and prefix != owner):
            break
        model = rest
        if prefix:
            owner = prefix
            break
    if owner is None:
        owner = next((who for pattern, who in names.guess if fnmatchcase(model, pattern)), None)
    spell = _SPELLING.get(owner or "")
    return owner, spell(model) if spell else model


def _undated(owner: str | None, model: str) -> str:
    names = _names()
    if model.rsplit("/", 1)[-1] in names.keep_dated:
        return model
    plain = _DATE.sub("", model) or model
    return names.models.get(owner or "", {}).get(plain, plain)


def _bedrock(model: str) -> str:
    if model.startswith("arn:"):
        if "application-inference-profile" in model:
            return model  # the account's own name of a profile: which model is behind it cannot be read off
        model = model.rsplit("/", 1)[-1]
    parts = model.split("/")
    while len(parts) > 1 and (
        parts[0] in {"converse", "invoke", "converse_like", "mantle"} or _AWS_REGION.match(parts[0])
    ):
        parts.pop(0)
    model = "/".join(parts)
    geography = _BEDROCK_GEOGRAPHY.match(model)
    bare = model[geography.end() :] if geography else model
    vendor = _BEDROCK_VENDOR.match(bare)
    if vendor:
        bare = bare[vendor.end() :]
        versioned = any(fnmatchcase(bare, pattern) for pattern in _names().bedrock_versioned)
        bare = (_BEDROCK_REVISION if versioned else _BEDROCK_VERSION).sub("", bare)
        plain = _DATE.sub("", bare)
        apart = any(fnmatchcase(plain, pattern) for pattern in _names().bedrock_global)
        return f"global.{bare}" if apart and geography and geography.group(1) == "global" else bare
    return model


def _claude_dots(model: str) -> str:
    return model.replace(".", "-") if model.startswith("claude-") else model


def _google(model: str) -> str:
    return _claude_dots(re.sub(r"^(?:projects/.*/)?(?:publishers/[a-z0-9-]+/)?models/", "", model))


def _azure(model: str) -> str:
    return re.sub(r"^(?:global|global-standard)/", "", model)


def _fireworks(model: str) -> str:
    return re.sub(r"^accounts/fireworks/models/", "", model)


_SPELLING: dict[str, Callable[[str], str]] = {
    "aws": _bedrock,
    "google": _google,
    "azure": _azure,
    "anthropic": _claude_dots,
    "fireworks": _fireworks,
}


def known_providers() -> frozenset[str]:
    """The canonical names of all providers that the alias file knows."""
    return frozenset(name for name in _names().providers.values() if name)

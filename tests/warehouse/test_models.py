"""Which model a call used: the spellings of real sources, and that names and prices fit together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.models import canonical_model, canonical_provider, known_providers, price_ids

SPELLINGS = [
    ("openai", "openai/gpt-4o-2024-08-06", ("openai", "gpt-4o")),
    ("openai", "gpt-4o-2024-11-20", ("openai", "gpt-4o")),
    ("openai", "gpt-4o-2024-05-13", ("openai", "gpt-4o-2024-05-13")),
    (None, "gpt-4o-mini-2024-07-18", ("openai", "gpt-4o-mini")),
    (None, "o1", ("openai", "o1")),
    ("azure", "azure/gpt-4o", ("azure", "gpt-4o")),
    ("azure", "azure/global-standard/gpt-4o-2024-08-06", ("azure", "gpt-4o")),
    ("azure", "azure/eu/gpt-4o-2024-08-06", ("azure", "eu/gpt-4o")),
    ("azure", "gpt-35-turbo", ("azure", "gpt-3.5-turbo")),
    (None, "bedrock/us.amazon.nova-pro-v1:0", ("aws", "nova-pro")),
    ("aws.bedrock", "us.amazon.nova-pro-v1:0", ("aws", "nova-pro")),
    (None, "nova-pro", ("aws", "nova-pro")),
    ("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", ("aws", "claude-haiku-4-5")),
    ("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", ("aws", "claude-haiku-4-5")),
    ("bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0", ("aws", "claude-haiku-4-5")),
    ("bedrock", "global.anthropic.claude-haiku-4-5-20251001-v1:0", ("aws", "global.claude-haiku-4-5")),
    ("bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", ("aws", "claude-3-5-sonnet")),
    ("bedrock", "converse/us-east-1/us.anthropic.claude-opus-4-1-20250805-v1:0", ("aws", "claude-opus-4-1")),
    (None, "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0", ("aws", "nova-lite")),
    ("bedrock", "mistral.mistral-large-2402-v1:0", ("aws", "mistral-large-2402")),
    ("anthropic", "anthropic/claude-haiku-4-5", ("anthropic", "claude-haiku-4-5")),
    (None, "claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
    ("anthropic", "claude-sonnet-4.5", ("anthropic", "claude-sonnet-4-5")),
    ("anthropic", "claude-3-5-haiku-latest", ("anthropic", "claude-3-5-haiku")),
    ("vertex_ai", "vertex_ai/claude-haiku-4-5@20251001", ("google", "claude-haiku-4-5")),
    (None, "models/gemini-1.5-flash-001", ("google", "gemini-1.5-flash")),
    ("gemini", "gemini/gemini-1.5-flash", ("google", "gemini-1.5-flash")),
    ("gcp.vertex_ai", "publishers/google/models/gemini-2.0-flash-001", ("google", "gemini-2.0-flash")),
    (None, "openrouter/openai/gpt-4o", ("openrouter", "openai/gpt-4o")),
    ("groq", "openai/gpt-oss-120b", ("groq", "openai/gpt-oss-120b")),
    ("together_ai", "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", ("together", "meta-llama/llama-3.3-70b-instruct-turbo")),
    ("hosted_vllm", "hosted_vllm/BAAI/bge-m3", ("self-hosted", "baai/bge-m3")),
    ("litellm_proxy", "litellm_proxy/gpt-4o-mini", ("openai", "gpt-4o-mini")),
    ("openai", "anthropic/claude-haiku-4-5", ("anthropic", "claude-haiku-4-5")),
    ("Acme", "Some-Model", ("acme", "some-model")),
    (None, "Mocked", (None, "mocked")),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "raw", "expected"), SPELLINGS)
def test_spellings(provider: str | None, raw: str, expected: tuple[str | None, str]) -> None:
    assert canonical_model(provider, raw) == expected


@pytest.mark.parametrize(("provider", "raw", "expected"), SPELLINGS)
def test_canonical_names_are_stable(provider: str | None, raw: str, expected: tuple[str | None, str]) -> None:
    assert canonical_model(expected[0], raw) == expected
    assert canonical_model(*expected) == expected


NAMES = st.text(alphabet="abgo4-./:@0123 claudeusEU", max_size=40) | st.sampled_from([raw for _, raw, _ in SPELLINGS])
PROVIDERS = st.none() | st.sampled_from(sorted({p for p, _, _ in SPELLINGS if p})) | st.text(max_size=6)


@given(
    provider=PROVIDERS, raw=NAMES, prefix=st.sampled_from(["", "openai/", "bedrock/", "openrouter/", "us.anthropic."])
)
def test_pricing_again_finds_the_same_model(provider: str | None, raw: str, prefix: str) -> None:
    owner, model = canonical_model(provider, prefix + raw)
    assert canonical_model(owner, prefix + raw) == (owner, model)
    assert price_ids(provider, prefix + raw)[-1] == model
    assert model == model.lower()


def test_dated_snapshot_is_looked_for_first() -> None:
    assert price_ids("openai", "openai/gpt-4o-2024-08-06") == ("gpt-4o-2024-08-06", "gpt-4o")
    assert price_ids("openai", "gpt-4o") == ("gpt-4o",)


def test_gateways_are_no_providers() -> None:
    assert canonical_provider("litellm") is None
    assert canonical_provider("  ") is None
    assert canonical_provider("AWS.Bedrock") == "aws"


def test_dates_are_dropped_only_where_the_price_is_the_same() -> None:
    """Every name in the catalogue costs what its canonical name costs, but for three spellings of which the plain one is right."""
    from genai_prices.data_snapshot import get_snapshot

    from warehouse.genai_book import _names

    providers = {p.id: p for p in get_snapshot().providers if p.id in known_providers()}
    seen: dict[tuple[str | None, str], object] = {}
    clashes = []
    for provider in providers.values():
        for model, names in _names(provider):
            for name in names:
                canonical = canonical_model(provider.id, name)
                priced = (model.prices, model.price_variants)
                if seen.setdefault(canonical, priced) != priced:
                    clashes.append((provider.id, name, canonical))
    assert len(seen) > 1000
    assert {name for _, name, _ in clashes} <= {
        "sonar",
        "perplexity/sonar",
        "gemini-pro-1.5",
        "anthropic/claude-sonnet-4",
    }


SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "litellm" / "standard_logging_payload.jsonl"


@pytest.mark.parametrize("path", [path for path in (SAMPLES,) if path.exists()])
def test_gateway_sample_names_only_known_models(path: Path) -> None:
    payloads = [json.loads(line) for line in path.read_text().splitlines()]
    found = {
        canonical_model(row.get("custom_llm_provider"), row["model"]) for row in payloads if row["status"] == "success"
    }
    assert found >= {
        ("openai", "gpt-4o"),
        ("anthropic", "claude-haiku-4-5"),
        ("aws", "nova-pro"),
        ("google", "gemini-1.5-flash"),
    }

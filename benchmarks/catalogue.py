"""The synthetic company of the benchmarks: its features, models and prices. Nothing in it is real."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

FIRST_DAY = date(2026, 3, 1)
DAYS = 90
PRICE_CHANGE_DAY = 45
"""Day, counted from the first, on which every price of the dated price table changes."""

UNITS = 10_000_000_000
"""Whole units of a dollar in which the benchmarks count money: the ten digits after the point of a call's cost."""


@dataclass(frozen=True)
class Model:
    """A model and its prices in units per token; `priced` False: no price is known to anybody."""

    provider: str
    name: str
    operation: str
    input: int
    cached: int
    output: int
    priced: bool = True


CHAT, EMBEDDING = "chat", "embeddings"

MODELS = (
    Model("openai", "gpt-4o", CHAT, 25_000, 12_500, 100_000),
    Model("openai", "gpt-4o-mini", CHAT, 1_500, 750, 6_000),
    Model("openai", "gpt-4.1", CHAT, 20_000, 5_000, 80_000),
    Model("openai", "gpt-4.1-mini", CHAT, 4_000, 1_000, 16_000),
    Model("openai", "gpt-4.1-nano", CHAT, 1_000, 250, 4_000),
    Model("openai", "o3-mini", CHAT, 11_000, 5_500, 44_000),
    Model("anthropic", "claude-opus-4-1", CHAT, 150_000, 15_000, 750_000),
    Model("anthropic", "claude-sonnet-4-5", CHAT, 30_000, 3_000, 150_000),
    Model("anthropic", "claude-haiku-4-5", CHAT, 10_000, 1_000, 50_000),
    Model("google", "gemini-2.5-pro", CHAT, 12_500, 3_100, 100_000),
    Model("google", "gemini-2.5-flash", CHAT, 3_000, 750, 25_000),
    Model("aws", "amazon.nova-pro-v1:0", CHAT, 8_000, 2_000, 32_000),
    Model("other-lab", "unlisted-8b", CHAT, 0, 0, 0, priced=False),
    Model("openai", "text-embedding-3-small", EMBEDDING, 200, 200, 0),
    Model("openai", "text-embedding-3-large", EMBEDDING, 1_300, 1_300, 0),
)
BILLED_PROVIDER = "aws"
"""The one provider whose bill is generated: for it the bill is the ledger."""

ESTIMATED_PROVIDERS = tuple(sorted({model.provider for model in MODELS} - {BILLED_PROVIDER}))
"""Providers without a bill: for them the calls are the ledger."""


@dataclass(frozen=True)
class Feature:
    """A feature: its share of calls, mean input and output tokens, and the models it uses (first the one it uses most)."""

    name: str
    team: str
    weight: int
    input_tokens: int
    output_tokens: int
    models: tuple[str, ...]


FEATURES = (
    Feature("search", "ai", 220, 900, 150, ("gpt-4o-mini", "gemini-2.5-flash", "gpt-4.1-nano")),
    Feature("chat", "ai", 180, 2_400, 350, ("gpt-4o", "claude-sonnet-4-5", "gpt-4o-mini")),
    Feature("summarize", "ai", 80, 9_000, 500, ("gpt-4o", "gpt-4.1", "claude-sonnet-4-5")),
    Feature("classify", "data", 120, 600, 20, ("gpt-4o-mini", "unlisted-8b", "amazon.nova-pro-v1:0")),
    Feature("describe-product", "product", 60, 1_200, 400, ("gpt-4.1", "claude-sonnet-4-5", "gpt-4.1-mini")),
    Feature("translate", "product", 50, 800, 800, ("gemini-2.5-flash", "gpt-4.1-mini", "amazon.nova-pro-v1:0")),
    Feature("moderate", "infra", 70, 300, 10, ("unlisted-8b", "gpt-4.1-nano", "claude-haiku-4-5")),
    Feature("agent", "ai", 40, 6_000, 900, ("claude-sonnet-4-5", "claude-opus-4-1", "o3-mini")),
    Feature("report", "data", 20, 5_000, 1_500, ("gemini-2.5-pro", "gpt-4.1", "o3-mini")),
    Feature("extract", "data", 40, 3_000, 200, ("claude-haiku-4-5", "gpt-4.1-mini", "amazon.nova-pro-v1:0")),
    Feature("index-documents", "data", 80, 700, 0, ("text-embedding-3-large", "text-embedding-3-small")),
    Feature("embed-queries", "ai", 40, 60, 0, ("text-embedding-3-small",)),
)
MODEL_SHARES = (0.6, 0.3, 0.1)
"""How a feature's calls are spread over its models, in their order; the first takes what further models would have."""

TIERS = ("free", "pro", "enterprise")
TOP_FEATURE = "summarize"
"""The feature whose dearest users are asked for."""


@dataclass(frozen=True)
class BillLine:
    """A line that the cloud bill has every day: its service, as FOCUS names it, and about how many dollars it costs."""

    service: str
    category: str
    description: str
    dollars: int


BILL_LINES = (
    BillLine("Amazon Elastic Compute Cloud", "Compute", "g6.xlarge instance hour", 35),
    BillLine("Amazon OpenSearch Service", "Databases", "OpenSearch vector search instance hour", 27),
    BillLine("Amazon Simple Storage Service", "Storage", "Standard storage, GB-month", 12),
    BillLine("AWS Data Transfer", "Networking", "Data transfer out, GB", 19),
    BillLine("Amazon Bedrock", "AI and Machine Learning", "Nova Pro tokens", 60),
)

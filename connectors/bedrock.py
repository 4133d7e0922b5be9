"""Which model, direction and cache action a Bedrock billing line is about, read from its usage type and product name.

Formats (AWS Bedrock user guide, "Understanding your Amazon Bedrock Cost and Usage Report data", and the public price list):
`USE1-NovaLite-input-tokens`, `USE1-Claude4.6Sonnet-output-tokens`, `...-cache-read-input-token-count`,
`USE1-qwen.qwen3-32b-mantle-input-tokens-standard`, with `-batch`, `-flex`, `-priority`, `-cross-region-global` at the end; models
sold through the marketplace name only the meter (`USW2-MP:USW2_InputTokenCount-Units`) and the model in the product name
("Claude 3 Haiku (Amazon Bedrock Edition)"). What does not fit stays None: visible as unparsed, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warehouse.models import canonical_model

REGION = re.compile(r"^[A-Z]{2,4}\d{0,2}-(?=\S)")
METER = re.compile(
    r"-(?:mantle-)?(?:cache-(?:read|write)-|(?:text|image|audio|video|speech|latency-optimized)-)*(?:input|output)(?=-)"
)
MARKETPLACE = re.compile(r"(?:^|-)MP:(?:[A-Z0-9]+_)?(?P<meter>.+)$")
EDITION = re.compile(r"\s*\((?:Amazon )?Bedrock Edition\)\s*$", re.IGNORECASE)
CLAUDE_TIERS = ("haiku", "sonnet", "opus", "instant", "fable", "mythos")
COMPOUND_WORDS = {
    "command-r+": "command-r-plus",
    "deep-seek": "deepseek",
    "multi-modal": "multimodal",
    "stability-ai": "stability",
}


@dataclass(frozen=True)
class TokenLine:
    """What a billing line is about: canonical model id, `input` or `output`, `read` or `write`; None where it does not say."""

    model: str | None = None
    direction: str | None = None
    cache_action: str | None = None


def is_bedrock(product_code: str | None, product_name: str | None) -> bool:
    """Whether a line is Bedrock's: by product code, or by product name where the marketplace sells the model."""
    return "bedrock" in (product_code or "").lower() or "bedrock" in (product_name or "").lower()


def parse_bedrock(usage_type: str | None, product_name: str | None) -> TokenLine:
    """What a Bedrock line is about, from its usage type and its product name."""
    usage = usage_type or ""
    sold = MARKETPLACE.search(usage)
    plain = REGION.sub("", usage)
    meter = None if sold else METER.search(plain)
    if meter and meter.start():
        name, rest = plain[: meter.start()], plain[meter.start() :]
    else:
        name = EDITION.sub("", product_name or "") if EDITION.search(product_name or "") else ""
        rest = sold["meter"] if sold else plain
    model = canonical_name(name) if name else None
    return TokenLine(_profiled(model, rest) if model else None, *_meter(rest))


def _profiled(model: str, meter: str) -> str:
    """The model as calls name it: where the global profile has a price of its own, its lines are kept apart."""
    if "global" not in meter.lower():
        return model
    vendor = "anthropic" if model.startswith("claude") else "amazon"
    return canonical_model("bedrock", f"global.{vendor}.{model}")[1]


def _meter(text: str) -> tuple[str | None, str | None]:
    """Direction and cache action that a meter's name says. A cache's meters are on the input side."""
    words = re.sub(r"[^a-z]", "", text.lower())
    cache = "read" if "cacheread" in words else "write" if "cachewrite" in words else None
    if cache or "inputtoken" in words or re.search(r"input(text|image|audio|video|speech)token", words):
        return "input", cache
    if "outputtoken" in words or re.search(r"output(text|image|audio|video|speech)token", words):
        return "output", None
    return None, None


def canonical_name(name: str) -> str | None:
    """A model's id as traces write it, from the name that a bill uses.

    `Claude4.6Sonnet` and `Claude Sonnet 4.6` become `claude-sonnet-4-6`, `Claude3Haiku` becomes `claude-3-haiku` (the order
    changed with version 4), `NovaLite` `nova-lite`, `Nova2.0Lite` `nova-2-lite`, `TitanEmbeddingV2-Text` `titan-embed-text-v2`;
    a vendor in front (`qwen.qwen3-32b`, `Anthropic Claude`) is dropped. Ids without such a rule are lower-cased.
    """
    text = re.sub(r"^[a-z0-9]+\.(?=[a-z])", "", name.strip())
    text = re.sub(r"^(?:Anthropic|Meta|Cohere|Amazon|AI21|Google)\s+(?=\S)", "", text)
    compact = re.sub(r"[^a-z0-9.]+", "", text.lower())
    if not compact:
        return None
    if compact.startswith("claude"):
        return _claude(compact.removeprefix("claude"))
    if compact.startswith("titanembed"):
        return _titan_embedding(compact)
    nova = re.match(r"nova(\d(?:\.\d)?)?([a-z]+)", compact)
    if nova:
        version = (nova[1] or "").removesuffix(".0").replace(".", "-")
        return "-".join(part for part in ("nova", version, re.sub(r"embeddings$", "-embeddings", nova[2])) if part)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", text) if "-" not in text and " " not in text else text
    slug = re.sub(r"[^a-z0-9.+]+", "-", words.lower()).strip("-")
    for apart, together in COMPOUND_WORDS.items():
        slug = slug.replace(apart, together)
    return f"{slug}-instruct" if re.fullmatch(r"llama[34][-\w]*b", slug) else slug or None


def _claude(rest: str) -> str | None:
    tier = next((tier for tier in CLAUDE_TIERS if tier in rest), None)
    version = re.search(r"(\d)(?:\.(\d+))?", rest.replace(f"{tier}v2", str(tier)))
    if not version:
        return f"claude-{tier}" if tier else None
    number = "-".join(part for part in version.groups() if part and part != "0")
    if tier is None:
        return f"claude-{number}"
    return f"claude-{number}-{tier}" if int(version[1]) < 4 else f"claude-{tier}-{number}"


def _titan_embedding(compact: str) -> str:
    kind = next((kind for kind in ("text", "image") if kind in compact), None)
    return "-".join(part for part in ("titan-embed", kind, "v2" if "v2" in compact else "v1") if part)

"""Which model, direction and cache action a Vertex AI or Gemini API billing line is about, read from its SKU description.

Descriptions seen in real exports: "Gemini 2.5 Flash GA Text Input - Predictions", "Gemini 2.5 Flash GA Thinking Text Output -
Predictions", " Gemini 2.5 Flash Lite Input Text Caching" (with a leading space; tokens read from a cache), "Gemini 2.5 Pro Text
Input (Long) - Batch Predictions", "... Caching Storage" (hours of a stored cache: a model, but no tokens) and, from the Gemini
API, "Generate content output token count gemini 2.5 flash short input text". Claude and other partner models say "Input Tokens",
"Output Tokens", "Cache Read" or "Cache Write". What does not fit stays None: visible as unparsed, never guessed.
"""

from __future__ import annotations

import re

from connectors.bedrock import TokenLine, canonical_name

GEMINI = re.compile(
    r"\bgemini\s+(?:(?P<live>live)\s+)?(?P<version>\d+(?:\.\d+)?)\s+(?P<tier>flash[\s-]*lite|flash|pro|ultra|nano)\b",
    re.IGNORECASE,
)
CLAUDE = re.compile(
    r"\bclaude\s+(?:\d(?:\.\d)?\s+)?(?:haiku|sonnet|opus|fable|mythos|instant)(?:\s+\d(?:\.\d)?)?(?:\s+v2)?",
    re.IGNORECASE,
)
EMBEDDING = re.compile(
    r"\b(?:gemini[\s-]+embedding|multimodal[\s-]+embeddings?|text[\s-]+multilingual[\s-]+embedding|text[\s-]+embedding)(?:[\s-]+\d+)?\b",
    re.IGNORECASE,
)
OPEN_MODEL = re.compile(
    r"\b(?:llama|mistral|codestral|mixtral|deepseek|qwen|jamba|gemma)[\s-]?[\w.]*"
    r"(?:[\s-](?:v?\d[\w.]*|large|small|medium|nemo|scout|maverick|coder))*",
    re.IGNORECASE,
)


def parse_sku(description: str | None) -> TokenLine:
    """What a line is about, from its SKU description."""
    text = " ".join((description or "").split())
    model = _model(text)
    if model is None:
        return TokenLine()
    low = text.lower()
    if "storage" in low or "tuning" in low or "grounding" in low or "provisioned" in low:
        return TokenLine(model)
    if re.search(r"cach(?:e|ing)[\s-]+write|cache creation", low):
        return TokenLine(model, "input", "write")
    if "cach" in low:
        return TokenLine(model, "input", "read")
    if low.startswith("generate content output") or (
        re.search(r"\boutput\b", low) and not low.startswith("generate content")
    ):
        return TokenLine(model, "output")
    if re.search(r"\binput\b", low) or "embedding" in model:
        return TokenLine(model, "input")
    return TokenLine(model)


def _model(text: str) -> str | None:
    embedding = EMBEDDING.search(text)
    if embedding:
        return re.sub(r"[\s-]+", "-", embedding[0].lower())
    gemini = GEMINI.search(text)
    if gemini:
        tier = re.sub(r"[\s-]+", "-", re.sub(r"flash\s*lite", "flash-lite", gemini["tier"].lower()))
        version = gemini["version"].removesuffix(".0") if gemini["version"].startswith("3") else gemini["version"]
        live = "live-" if gemini["live"] or re.search(r"\blive\b", text, re.IGNORECASE) else ""
        return f"gemini-{live}{version}-{tier}{_gemini_variant(text)}"
    claude = CLAUDE.search(text)
    if claude:
        return canonical_name(claude[0])
    partner = OPEN_MODEL.search(text)
    return re.sub(r"[\s-]+", "-", partner[0].lower()).strip("-") if partner else None


def _gemini_variant(text: str) -> str:
    """`-image` for the image-generating sibling, which is another model at another price."""
    return (
        "-image"
        if re.search(r"\bimage (?:output|generation)\b|(?:flash|pro) image (?!input)", text, re.IGNORECASE)
        else ""
    )

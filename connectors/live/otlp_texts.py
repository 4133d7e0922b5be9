"""What is kept of spans that applications send: ids, times, tokens, costs, models, dimensions and labels; never what people wrote.

The text of a prompt is replaced by its fingerprints (`connectors.prompt_fingerprints`) before anything is written. Spans that say nothing about a
model call keep their ids and times, by which wrappers around calls are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from connectors.dimensions import DENIED_KEYS, LONGEST_LABEL
from connectors.otel import ATTRIBUTES, FINGERPRINT_ATTRIBUTES
from connectors.otlp_messages import spans_of, wrong
from connectors.prompt_fingerprints import fingerprints

_NEEDED = {key for name, keys in ATTRIBUTES.items() if name != "messages" for key in keys}
_ABOUT_CALLS = re.compile(r"^(gen_ai|llm|langfuse|litellm|openinference|traceloop|embedding|metadata)\b")
_TEXTS = re.compile(
    r"(?i)^(gen_ai\.(input|output|prompt\.\d|completion|system_instructions|tool|content|request\.messages|response\.(text|content))"
    r"|llm\.(input_messages|output_messages|prompts?|completions?|tools)|input\.|output\.|langfuse\.(observation|trace)\.(input|output)"
    r"|traceloop\.entity\.(input|output)|retrieval\.|embedding\.embeddings|exception\.|http\.|url\.|db\.|client\.|server\.|net\.)"
)
_DENIED = re.compile(DENIED_KEYS)
_LONGEST_NEEDED = 100_000
"""Characters of an attribute that is read (metadata as JSON); a longer one is a text."""

CONTEXT = ("operation", "span_kind", "response_id", "input", "output", "total", "cost", "usage_map", "model")


def without_texts(request: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(the request with good spans only and without texts, what is wrong with each span that was left out)."""
    reasons: list[str] = []
    messages = iter(fingerprints([_messages(span) for span in spans_of(request)]))
    resources = []
    for resource in request.get("resourceSpans", []):
        kept = []
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                digest, blocks = next(messages)
                if reason := wrong(span):
                    reasons.append(reason)
                else:
                    kept.append(_short(span, digest, blocks))
        told = resource.get("resource")
        attributes = told.get("attributes") if isinstance(told, dict) else None
        held = {"attributes": _kept(attributes if isinstance(attributes, list) else [])}
        resources.append({"resource": held, "scopeSpans": [{"spans": kept}]})
    return {"resourceSpans": resources}, reasons


def context_only(requests: Iterable[dict[str, Any]], since_nanoseconds: int) -> dict[str, Any]:
    """The spans that ended since then, as a request that only tells which others are wrappers (`connectors.otel`)."""
    keys = {key for name in CONTEXT for key in ATTRIBUTES[name]}
    names = ("traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano")
    spans = []
    for request in requests:
        for span in spans_of(request):
            if int(span.get("endTimeUnixNano") or span.get("startTimeUnixNano") or 0) < since_nanoseconds:
                continue
            kept = [item for item in span.get("attributes", []) if item.get("key") in keys]
            spans.append({name: span[name] for name in names if span.get(name)} | {"attributes": kept})
    return {"percallContextOnly": True, "resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}


def _short(span: dict[str, Any], digest: str | None, blocks: list[int] | None) -> dict[str, Any]:
    names = ("traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano")
    short = {name: span[name] for name in names if span.get(name)}
    if isinstance(code := (span.get("status") or {}).get("code"), int | str):
        short["status"] = {"code": code}
    attributes = [item for item in span.get("attributes", []) if isinstance(item.get("key"), str)]
    if not any(_ABOUT_CALLS.search(item["key"]) for item in attributes):
        return short
    kept = _kept(attributes)
    if digest is not None:
        hashed, prefix = FINGERPRINT_ATTRIBUTES
        kept += [
            {"key": hashed, "value": {"stringValue": digest}},
            {"key": prefix, "value": {"stringValue": json.dumps(blocks)}},
        ]
    return short | {"attributes": kept}


def _kept(attributes: Iterable[Any]) -> list[dict[str, Any]]:
    kept = []
    for item in attributes:
        key = item.get("key") if isinstance(item, dict) else None
        if not isinstance(key, str):
            continue
        size = len(_text(item.get("value")))
        if key in _NEEDED:
            if size <= _LONGEST_NEEDED:
                kept.append(item)
        elif size <= LONGEST_LABEL and not _TEXTS.search(key) and not _DENIED.search(key):
            kept.append(item)
    return kept


def _messages(span: dict[str, Any]) -> str | None:
    """The prompt of a span, as `connectors.otel` would read it."""
    held = {item.get("key"): item.get("value") for item in span.get("attributes", [])}
    text = next((found for key in ATTRIBUTES["messages"] if (found := _text(held.get(key)))), None)
    if text is None or text[:1] != "{":
        return text
    try:
        inner = json.loads(text).get("messages")
    except ValueError:
        return text
    if inner is None or inner == "":
        return text
    return inner if isinstance(inner, str) else json.dumps(inner, ensure_ascii=False, separators=(",", ":"))


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    for kind in ("stringValue", "intValue", "doubleValue", "boolValue"):
        if value.get(kind) is not None:
            return str(value[kind])
    return json.dumps(value) if value else ""

"""LiteLLM's payloads and spend log rows with only what a call is counted by, as `connectors.litellm` reads them.

A payload is some 13 kB long and holds the prompt, the answer, key hashes and addresses. None of these is written: of the messages only
fingerprints are kept (`connectors.prompt_fingerprints`), of the metadata what tells features, teams, tiers and outcomes.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connectors.dimensions import DENIED_KEYS, LONGEST_LABEL
from connectors.litellm import FINGERPRINTS
from connectors.prompt_fingerprints import fingerprints

COLUMNS = (
    "request_id", "id", "litellm_call_id", "call_type", "status", "custom_llm_provider", "model", "model_group", "startTime", "endTime",
    "completionStartTime", "response_time", "request_duration_ms", "prompt_tokens", "completion_tokens", "total_tokens", "spend",
    "response_cost", "saved_cache_cost", "cache_hit", "stream", "request_tags", "end_user", "session_id", "trace_id", "team_id",
)  # fmt: skip
"""Top-level keys that are kept as they are."""

NESTED_METADATA = (
    "usage_object",
    "additional_usage_values",
    "spend_logs_metadata",
    "requester_metadata",
    "trace_metadata",
)
"""Metadata that are objects: their counts, or their own short values, are kept."""

_PARAMETERS = ("stream", "max_tokens", "max_completion_tokens", "max_output_tokens", "service_tier")
TEAM_KEYS = (
    "user_api_key_team_alias",
    "user_api_key_team_id",
    "user_api_key_project_alias",
    "user_api_key_project_id",
)
_DENIED = re.compile(DENIED_KEYS)
_PERSONAL = re.compile(r"(?i)^user_api_key|^requester_ip|^user_agent$|prompt_text|^messages?$|^input$|^content$")


def payloads(raw: bytes) -> Iterator[dict[str, Any]]:
    """The objects of one file or object: one, a list, or one per line; plain or gzipped. Raises ValueError when it is none of these."""
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    text = raw.decode("utf-8")
    try:
        held = json.loads(text)
    except ValueError:
        held = [json.loads(line) for line in text.splitlines() if line.strip()]
    for item in held if isinstance(held, list) else [held]:
        if not isinstance(item, dict):
            raise ValueError("an element is no object")
        yield item


def kept(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows without their texts, with fingerprints of them."""
    held = list(rows)
    told = fingerprints([_messages(row.get("messages")) for row in held])
    found = []
    for row, (digest, blocks) in zip(held, told, strict=True):
        short = _short(row)
        if digest is not None:
            short[FINGERPRINTS] = {"input_hash": digest, "prefix_blocks": blocks}
        found.append(short)
    return found


def lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


def _messages(held: object) -> str | None:
    if held is None or isinstance(held, str):
        return held
    return json.dumps(held, ensure_ascii=False, separators=(",", ":"))


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    short = {name: row[name] for name in COLUMNS if row.get(name) is not None}
    # a file of one kind of row is recognised by its columns, also where none has a value
    for name in ("response_cost", "litellm_call_id", "spend"):
        if name in row:
            short.setdefault(name, None)
    short.setdefault("call_type", None)
    parameters = _object(row.get("model_parameters"))
    if told := {name: parameters[name] for name in _PARAMETERS if parameters.get(name) is not None}:
        short["model_parameters"] = told
    response = _object(row.get("response"))
    if told := _answer(response):
        short["response"] = told
    if tier := _object(row.get("cost_breakdown")).get("service_tier"):
        short["cost_breakdown"] = {"service_tier": tier}
    short["metadata"] = _metadata(_object(row.get("metadata")))
    return short


def _metadata(held: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {name: held[name] for name in TEAM_KEYS if held.get(name)}
    told |= _labels(held)
    for name in NESTED_METADATA:
        inner = _object(held.get(name))
        if name in ("usage_object", "additional_usage_values"):
            short = {key: value for key, value in inner.items() if not isinstance(value, str) or len(value) <= 40}
        else:
            short = _labels(inner)
            for deeper in ("spend_logs_metadata", "trace_metadata"):
                if below := _labels(_object(inner.get(deeper))):
                    short[deeper] = below
        if short:
            told[name] = short
    prompt = _object(held.get("prompt_management_metadata"))
    if prompt.get("prompt_id"):
        told["prompt_management_metadata"] = {key: prompt.get(key) for key in ("prompt_id", "prompt_version")}
    full = _object(held.get("cost_breakdown")).get("total_cost")
    if full is not None:
        told["cost_breakdown"] = {"total_cost": full}
    return told


def _labels(held: Mapping[str, Any]) -> dict[str, Any]:
    """Short single values, without those that name a person, a machine or a key."""
    return {
        key: value
        for key, value in held.items()
        if isinstance(value, str | int | float | bool)
        and len(str(value)) <= LONGEST_LABEL
        and not _DENIED.search(key)
        and not _PERSONAL.search(key)
    }


def _answer(response: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: response[name] for name in ("service_tier", "stop_reason") if response.get(name)}
    choices = response.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and choices[0].get("finish_reason"):
        told["choices"] = [{"finish_reason": choices[0]["finish_reason"]}]
    return told


def _object(held: object) -> Mapping[str, Any]:
    """An object, or the object that a text holds; empty for anything else."""
    if isinstance(held, str) and held[:1] == "{":
        try:
            held = json.loads(held)
        except ValueError:
            return {}
    return held if isinstance(held, Mapping) else {}

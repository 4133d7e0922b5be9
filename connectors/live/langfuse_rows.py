"""Answers of Langfuse's API as rows of its export (`connectors.langfuse_export`): only what a call is counted by, no input, no output.

Numbers with a fraction come as texts, as they were written, so that no cost is rounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_OBSERVATION = {
    "id": ("id",),
    "trace_id": ("traceId",),
    "start_time": ("startTime",),
    "end_time": ("endTime",),
    "completion_start_time": ("completionStartTime",),
    "parent_observation_id": ("parentObservationId",),
    "type": ("type",),
    "level": ("level",),
    "environment": ("environment",),
    "user_id": ("userId",),
    "session_id": ("sessionId",),
    "provided_model_name": ("providedModelName", "model"),
    "model_parameters": ("modelParameters",),
    "usage_details": ("usageDetails",),
    "cost_details": ("costDetails",),
    "total_cost": ("totalCost", "calculatedTotalCost"),
    "prompt_name": ("promptName",),
    "prompt_version": ("promptVersion",),
    "latency": ("latency",),
    "time_to_first_token": ("timeToFirstToken",),
    "tags": ("tags",),
    "trace_name": ("traceName",),
}
"""Column of the export, and the names under which server versions have it."""

_CONTEXT = (
    "id",
    "trace_id",
    "start_time",
    "parent_observation_id",
    "type",
    "usage_details",
    "cost_details",
    "total_cost",
)

_SCORE = {
    "id": ("id",),
    "timestamp": ("timestamp",),
    "name": ("name",),
    "value": ("value",),
    "data_type": ("dataType",),
    "string_value": ("stringValue",),
    "trace_id": ("traceId",),
    "observation_id": ("observationId",),
    "session_id": ("sessionId",),
}


def _picked(item: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    return {
        column: next((item[name] for name in spellings if item.get(name) is not None), None)
        for column, spellings in names.items()
    }


def observation_row(item: Mapping[str, Any], trace: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One observation. `trace` fills what older servers keep with the trace alone: user, session, tags, name, environment, metadata.

    The observation's own values count before those of its trace, key by key in the metadata.
    """
    row = _picked(item, _OBSERVATION)
    own = metadata(item.get("metadata"))
    if trace is not None:
        for column, name in (
            ("user_id", "userId"),
            ("session_id", "sessionId"),
            ("trace_name", "name"),
            ("tags", "tags"),
        ):
            row[column] = row[column] or trace.get(name)
        if row["environment"] in (None, "", "default"):
            row["environment"] = trace.get("environment") or row["environment"]
        own = metadata(trace.get("metadata")) | own
    return row | {"metadata": own}


def context_row(item: Mapping[str, Any]) -> dict[str, Any]:
    """An observation that only tells which others are wrappers around it; it is counted with its own time."""
    row = _picked(item, _OBSERVATION)
    return {name: row[name] for name in _CONTEXT} | {"provided_model_name": None, "context_only": True}


def score_row(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """One score; None when it is about an experiment, which is no use of the product."""
    row = _picked(item, _SCORE)
    subject = item.get("subject")
    if isinstance(subject, Mapping):
        kind = subject.get("kind")
        if kind == "experiment":
            return None
        if kind == "observation":
            row["observation_id"], row["trace_id"] = subject.get("id"), subject.get("traceId")
        elif kind == "session":
            row["session_id"] = subject.get("id")
        else:
            row["trace_id"] = subject.get("id")
    return row


def metadata(held: object) -> dict[str, Any]:
    """Metadata as an object whose values are decoded: newer SDKs send each value as JSON text in quotes. What is no object is empty."""
    if isinstance(held, str):
        try:
            held = json.loads(held, parse_float=str)
        except ValueError:
            return {}
    if not isinstance(held, Mapping):
        return {}
    return {str(key): _decoded(value) for key, value in held.items()}


def _decoded(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith('"'):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value

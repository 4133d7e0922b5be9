"""A Langfuse server of its two public read APIs, as its specification and its source describe them.

Every answer is checked against the schemas of Langfuse's own OpenAPI file (tests/data/langfuse/openapi_answers.json) before it is sent. It checks
credentials, parameters and limits, sorts newest first, pages by cursor (v2, v3) or by number (v1), returns only the field groups that were
asked for, and cuts metadata after 200 characters unless told otherwise.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema

from tests.connectors.live.loopback import Asked, Reply

DATA = Path(__file__).parent.parent / "data" / "langfuse"
PUBLIC, SECRET = "pk-lf-for-tests", "sk-lf-for-tests"

GROUPS = {
    "core": ("id", "traceId", "startTime", "endTime", "projectId", "parentObservationId", "type"),
    "basic": ("name", "level", "statusMessage", "version", "environment", "bookmarked", "public", "userId", "sessionId", "isRootObservation"),
    "time": ("completionStartTime", "createdAt", "updatedAt"),
    "io": ("input", "output"),
    "metadata": ("metadata",),
    "model": ("providedModelName", "internalModelId", "modelParameters"),
    "usage": ("usageDetails", "costDetails", "totalCost", "usagePricingTierName"),
    "prompt": ("promptId", "promptName", "promptVersion"),
    "metrics": ("latency", "timeToFirstToken"),
    "trace_context": ("tags", "release", "traceName"),
}  # fmt: skip
_ALWAYS = ("modelId", "inputPrice", "outputPrice", "totalPrice")
_PARAMETERS = {
    "/api/public/v2/observations": (
        "fields", "expandMetadata", "limit", "cursor", "environment", "fromStartTime", "toStartTime", "type", "traceId", "name",
    ),
    "/api/public/v3/scores": ("limit", "cursor", "fields", "name", "fromTimestamp", "toTimestamp", "environment"),
}  # fmt: skip


def export_rows() -> list[dict[str, Any]]:
    """The 19 observations of the sample as the API has them, metadata whole."""
    lines = gzip.decompress((DATA / "blob_observations_v2.jsonl.gz").read_bytes()).decode().splitlines()
    return [from_export(json.loads(line)) for line in lines]


def from_export(row: Mapping[str, Any]) -> dict[str, Any]:
    """An exported row in the API's names and forms."""
    camel = {
        "".join(part if not at else part.title() for at, part in enumerate(name.split("_"))): value
        for name, value in row.items()
    }
    for name in ("startTime", "endTime", "completionStartTime"):
        if camel.get(name):
            camel[name] = camel[name].replace(" ", "T")[:23] + "Z"
    parameters = camel.get("modelParameters")
    camel["modelParameters"] = json.loads(parameters) if isinstance(parameters, str) and parameters else parameters
    empty = {key: None for key, value in camel.items() if value == "" and key not in ("id", "traceId")}
    whole = {name: None for names in (*GROUPS.values(), _ALWAYS) for name in names}
    return whole | camel | empty | {"projectId": "proj1", "bookmarked": False, "public": False}


def observation(id: str, start: str, /, **changes: Any) -> dict[str, Any]:
    """A generation of the API: 100 input and 20 output tokens of gpt-4o for $0.00045."""
    base: dict[str, Any] = {name: None for names in (*GROUPS.values(), _ALWAYS) for name in names}
    return base | {
        "id": id, "traceId": f"trace-{id}", "startTime": start, "endTime": start, "projectId": "proj1", "type": "GENERATION", "level": "DEFAULT",
        "environment": "default", "bookmarked": False, "public": False, "metadata": {}, "providedModelName": "gpt-4o", "tags": [],
        "usageDetails": {"input": 100, "output": 20, "total": 120}, "costDetails": {"total": 0.00045}, "totalCost": 0.00045,
        "input": "what people wrote", "output": "what the model answered", "latency": 0.0,
    } | changes  # fmt: skip


def score(id: str, at: str, name: str, value: float | bool | str, /, **subject: Any) -> dict[str, Any]:
    """A score of API v3; `subject` has kind, id and, of an observation, traceId."""
    kind = "BOOLEAN" if isinstance(value, bool) else "NUMERIC" if isinstance(value, int | float) else "CATEGORICAL"
    return {
        "id": id, "projectId": "proj1", "name": name, "value": value, "dataType": kind, "source": "API", "timestamp": at, "environment": "default",
        "createdAt": at, "updatedAt": at, "subject": subject,
    }  # fmt: skip


def validator(schema: str) -> jsonschema.protocols.Validator:
    """Checks an answer against one of Langfuse's schemas."""
    document = json.loads((DATA / "openapi_answers.json").read_text())
    rules = {"$ref": f"#/components/schemas/{schema}"} | _nullable(document)
    return jsonschema.Draft202012Validator(rules)


def _nullable(rules: Any) -> Any:
    """OpenAPI 3.0's `nullable` as JSON schema says it."""
    if isinstance(rules, list):
        return [_nullable(item) for item in rules]
    if not isinstance(rules, dict):
        return rules
    kept = {key: _nullable(value) for key, value in rules.items() if key not in ("nullable", "example")}
    return {"anyOf": [kept, {"type": "null"}]} if rules.get("nullable") else kept


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass
class LangfuseServer:
    """What the server holds. `legacy`: version 3, which has only the first API. `faults` answer the next requests, one each, first."""

    observations: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    legacy: bool = False
    faults: list[Reply | Callable[[Asked], Reply | None]] = field(default_factory=list)
    drift: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Changes each item of an answer after it was checked: a version that differs from the specification."""

    def __post_init__(self) -> None:
        self._checks = {
            name: validator(name)
            for name in (
                "ObservationsV2Response",
                "GetScoresV3Response",
                "legacyObservationsViews",
                "Traces",
                "GetScoresResponse",
            )
        }

    def answer(self, asked: Asked) -> Reply:
        """One request."""
        if self.faults:
            fault = self.faults.pop(0)
            reply = fault(asked) if callable(fault) else fault
            if reply is not None:
                return reply
        expected = "Basic " + base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != expected:
            return Reply(
                {
                    "error": "UnauthorizedError",
                    "message": "Invalid credentials. Confirm that you've configured the correct host.",
                },
                401,
            )
        parts: dict[str, Callable[[Asked], tuple[str, dict[str, Any]] | Reply]] = (
            {
                "/api/public/observations": self._old_observations,
                "/api/public/traces": self._old_traces,
                "/api/public/v2/scores": self._old_scores,
            }
            if self.legacy
            else {"/api/public/v2/observations": self._observations, "/api/public/v3/scores": self._scores}
        )
        if asked.path not in parts:
            return Reply({"error": "LangfuseNotFoundError", "message": "Not found"}, 404)
        unknown = set(asked.parameters) - set(_PARAMETERS.get(asked.path, asked.parameters))
        if unknown:
            return Reply({"message": f"Invalid request data: {sorted(unknown)}"}, 400)
        made = parts[asked.path](asked)
        if isinstance(made, Reply):
            return made
        schema, body = made
        self._checks[schema].validate(body)
        if self.drift is not None:
            body = body | {"data": [self.drift(dict(item)) for item in body["data"]]}
        return Reply(body)

    def _observations(self, asked: Asked) -> tuple[str, dict[str, Any]] | Reply:
        limit = int(asked.one("limit") or 50)
        groups = (asked.one("fields") or "core,basic").split(",")
        if limit > 1000 or not set(groups) <= set(GROUPS):
            return Reply({"message": "Invalid request data"}, 400)
        environments = asked.parameters.get("environment")
        found = [
            item
            for item in self._between(self.observations, "startTime", asked, "fromStartTime", "toStartTime")
            if not environments or item["environment"] in environments
        ]
        page, cursor = self._cut(found, asked, limit)
        names = [name for group in ("core", *groups) for name in GROUPS[group]]
        whole = (asked.one("expandMetadata") or "").split(",")
        rows = []
        for item in page:
            row = {name: item.get(name) for name in (*dict.fromkeys(names), *_ALWAYS)}
            if row.get("metadata"):
                row["metadata"] = {
                    key: value if key in whole or not isinstance(value, str) else value[:200]
                    for key, value in row["metadata"].items()
                }
            rows.append(row)
        return "ObservationsV2Response", {"data": rows, "meta": {"cursor": cursor} if cursor else {}}

    def _scores(self, asked: Asked) -> tuple[str, dict[str, Any]] | Reply:
        limit = int(asked.one("limit") or 50)
        groups = (asked.one("fields") or "").split(",")
        if limit > 100 or not set(groups) <= {"details", "subject", "annotation", ""}:
            return Reply({"message": "Invalid request data"}, 400)
        names = (asked.one("name") or "").split(",")
        found = [
            item
            for item in self._between(self.scores, "timestamp", asked, "fromTimestamp", "toTimestamp")
            if names == [""] or item["name"] in names
        ]
        page, cursor = self._cut(found, asked, limit)
        rows = [{k: v for k, v in item.items() if k != "subject" or "subject" in groups} for item in page]
        return "GetScoresV3Response", {"data": rows, "meta": {"limit": limit} | ({"cursor": cursor} if cursor else {})}

    def _old_observations(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        found = self._between(self.observations, "startTime", asked, "fromStartTime", "toStartTime")
        theirs = ("userId", "sessionId", "tags", "traceName", "providedModelName")
        rows = [
            {key: value for key, value in item.items() if key not in theirs}
            | {"model": item["providedModelName"], "usage": {"input": 0, "output": 0, "total": 0, "unit": "TOKENS"}}
            | dict.fromkeys(("calculatedInputCost", "calculatedOutputCost"))
            | {"calculatedTotalCost": item["totalCost"], "totalPrice": None, "inputPrice": None, "outputPrice": None}
            for item in found
        ]
        return "legacyObservationsViews", self._numbered(rows, asked)

    def _old_traces(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        found = self._between(self.traces, "timestamp", asked, "fromTimestamp", "toTimestamp")
        extra = {"htmlPath": "/t", "latency": 1.0, "totalCost": 0.0, "observations": [], "scores": []}
        return "Traces", self._numbered([item | extra for item in found], asked)

    def _old_scores(self, asked: Asked) -> tuple[str, dict[str, Any]]:
        found = self._between(self.scores, "timestamp", asked, "fromTimestamp", "toTimestamp")
        rows = []
        for item in found:
            if item["name"] != asked.one("name"):
                continue
            subject = item["subject"]
            boolean = isinstance(item["value"], bool)
            rows.append(
                {key: value for key, value in item.items() if key not in ("subject", "projectId")}
                | {"traceId": subject.get("traceId") or (subject["id"] if subject["kind"] == "trace" else None)}
                | {"observationId": subject["id"] if subject["kind"] == "observation" else None}
                | {
                    "value": int(item["value"]) if boolean else item["value"],
                    "comment": None,
                    "metadata": {},
                    "configId": None,
                }
                | {
                    "stringValue": "True" if item["value"] is True else "False",
                    "queueId": None,
                    "authorUserId": None,
                    "trace": None,
                }
            )
        return "GetScoresResponse", self._numbered(rows, asked)

    def _between(
        self, items: list[dict[str, Any]], name: str, asked: Asked, first: str, last: str
    ) -> list[dict[str, Any]]:
        start, end = asked.one(first), asked.one(last)
        found = [
            item
            for item in items
            if (start is None or _time(item[name]) >= _time(start)) and (end is None or _time(item[name]) < _time(end))
        ]
        return sorted(found, key=lambda item: (_time(item[name]), item["id"]), reverse=True)

    def _cut(self, found: list[dict[str, Any]], asked: Asked, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """A page after the cursor, which names the last item that was sent."""
        if cursor := asked.one("cursor"):
            last = base64.urlsafe_b64decode(cursor).decode()
            at = next((place for place, item in enumerate(found, start=1) if item["id"] == last), 0)
            found = found[at:]
        page = found[:limit]
        more = len(found) > limit
        return page, base64.urlsafe_b64encode(page[-1]["id"].encode()).decode() if more else None

    def _numbered(self, rows: list[dict[str, Any]], asked: Asked) -> dict[str, Any]:
        limit, page = int(asked.one("limit") or 50), int(asked.one("page") or 1)
        meta = {"page": page, "limit": limit, "totalItems": len(rows), "totalPages": -(-len(rows) // limit)}
        return {"data": rows[(page - 1) * limit : page * limit], "meta": meta}

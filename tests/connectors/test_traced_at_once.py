"""Logs of gateways and tracers that are parsed once by all cores: they become what a row-by-row look makes of them, whatever stands in them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from connectors import files, json_records, langfuse_export, litellm, otel
from connectors.source_file import SourceFile
from tests.connectors.extracted import DATA, connection
from warehouse.configuration import Configuration

FILLER = "x" * 40_000
CLEAN = 30
"""Rows of which the beginning of a file is full, so that what comes after was not looked at when it is read."""


def sample(name: str) -> dict[str, Any]:
    """The first record of a sample."""
    line = gzip.decompress((DATA / name).read_bytes()).splitlines()[0]
    return dict(json.loads(line))


def payload(number: int) -> dict[str, Any]:
    row = sample("litellm/standard_logging_payload.jsonl.gz")
    row.pop("model_map_information")
    return {**row, "id": f"call-{number}", "messages": [{"role": "user", "content": FILLER}]}


def spend_row(number: int) -> dict[str, Any]:
    row = sample("litellm/spend_logs_rows.jsonl.gz")
    return {
        **row,
        "request_id": f"call-{number}",
        "messages": FILLER,
        "metadata": '{"usage_object": {"cache_read": 1}}',
    }


def observation(number: int) -> dict[str, Any]:
    row = sample("langfuse/blob_observations_v2.jsonl.gz")
    row["metadata"].pop("response_id")
    return {**row, "id": f"{number:016x}", "input": FILLER}


def request(number: int) -> dict[str, Any]:
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.input.messages": FILLER}
    attributes: list[Any] = [{"key": key, "value": {"stringValue": text}} for key, text in said.items()]
    attributes += [
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "120"}},
        {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 12}},
        {"key": "gen_ai.cost.total_cost", "value": {"doubleValue": 3.5e-06}},
        {"key": "metadata.feature", "value": {"arrayValue": {"values": [{"stringValue": "search"}]}}},
    ]
    times = {"startTimeUnixNano": "1795467370307003136", "endTimeUnixNano": "1795467370958158080"}
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", **times, "attributes": attributes, "status": {}}
    resource = {"attributes": [{"key": "deployment.environment", "value": {"stringValue": "prod"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


@dataclass(frozen=True)
class Log:
    """A kind of file: its connector, and a record of each number."""

    connector: ModuleType
    record: Callable[[int], dict[str, Any]]


LOGS = {
    "payloads": Log(litellm, payload),
    "spend-logs": Log(litellm, spend_row),
    "observations": Log(langfuse_export, observation),
    "requests": Log(otel, request),
}


def written(folder: Path, log: Log, tail: list[str]) -> Path:
    """A file that ends in these lines."""
    path = folder / "log.jsonl"
    lines = [json.dumps(log.record(number)) for number in range(1, CLEAN + 1)]
    path.write_text("\n".join([*lines, *tail]) + "\n", encoding="utf-8")
    return path


def every(log: Log, file: SourceFile) -> list[tuple[Any, ...]]:
    """What the connector says of every row, in an order of its own."""
    own = connection()
    (extraction,) = log.connector.extract(own, file, Configuration())
    rows = own.execute(f"SELECT * FROM ({extraction.query}) ORDER BY ALL").fetchall()
    own.close()
    return [*rows, *((reject.row, reject.reason) for reject in extraction.rejects)]


def looked_through(path: Path, folder: Path) -> SourceFile:
    """The same file as a numbered copy, whose rows are read one by one."""
    copy = folder / "copy.rows"
    lines = path.read_text(encoding="utf-8").splitlines()
    with copy.open("w", encoding="utf-8", newline="") as out:
        records = json_records.records_by_line(files.byte_stream.Line(line) for line in lines)
        _, longest, rejects = json_records.write_numbered(records, out)
    return SourceFile(
        path, copy, "jsonl", (), (), "", 0, numbered=True, longest=4 * longest, rejects=tuple(rejects)
    )  # fmt: skip


ODD = [
    None, "", "null", "NULL", 0, -1, 7, 2.5, 3.5e-06, 1e22, "3.5e-06", "12.0", "x", True, [1, "a"], {"a": None}, '{"a": 1}', '"q"', "é 😀",
]  # fmt: skip
KEYS = {
    "payloads": ["id", "startTime", "model", "metadata", "messages", "response", "model_parameters", "response_cost", "prompt_tokens",
                 "request_tags", "cache_hit", "end_user", "Model"],
    "spend-logs": ["request_id", "startTime", "spend", "metadata", "response", "completion_tokens", "request_tags", "status", "team_id"],
    "observations": ["id", "type", "start_time", "metadata", "usage_details", "total_cost", "tags", "latency", "input", "context_only"],
    "requests": ["resourceSpans", "body", "percallContextOnly"],
}  # fmt: skip


@pytest.mark.parametrize(
    "broken", [[], ['{"id": "a", "id": "b"}', "{", "[]", "3", "null", "{}"]], ids=["whole", "broken"]
)
@pytest.mark.parametrize("kind", LOGS)
def test_a_file_read_at_once_says_what_its_rows_say_one_by_one(kind, broken, tmp_path):
    log = LOGS[kind]
    record = {key: "short" if value == FILLER else value for key, value in log.record(0).items()}
    own = next(key for key in ("id", "request_id", "resourceSpans") if key in record)
    changes = [{key: value} for key in KEYS[kind] for value in ODD]
    tail = [json.dumps({**record, own: log.record(CLEAN + at)[own], **change}) for at, change in enumerate(changes, 1)]
    path = written(tmp_path, log, [*tail, *broken])

    glanced = files.glance(path, tmp_path / "scratch")

    assert glanced.unchecked, "the whole file was looked through already"
    assert every(log, glanced) == every(log, looked_through(path, tmp_path))


VALUES = [
    {"stringValue": "7"}, {"stringValue": 7}, {"intValue": 2.5}, {"intValue": "many"}, {"doubleValue": 1e-07}, {"doubleValue": "NaN"},
    {"boolValue": True}, {"arrayValue": {"values": []}}, {"arrayValue": 3}, {"kvlistValue": {}}, {}, None, 5, "text", [],
]  # fmt: skip


def test_every_form_of_an_attribute_is_read_or_left_alone(tmp_path):
    tail = []
    for number, value in enumerate(VALUES, CLEAN + 1):
        told = request(number)
        spans = told["resourceSpans"][0]["scopeSpans"][0]["spans"]
        spans[0]["attributes"] += [
            {"key": f"metadata.own_{number}", "value": value}, {"key": 5, "value": value}, {"value": value}, 7, None,
        ]  # fmt: skip
        spans += [None, 4, {"spanId": f"{number:015x}b", "attributes": value}, {"attributes": {}}]
        told["resourceSpans"] += [None, 3, {"scopeSpans": value}, {"resource": value, "scopeSpans": [{"spans": value}]}]
        tail.append(json.dumps(told))
    path = written(tmp_path, LOGS["requests"], tail)

    rows = every(LOGS["requests"], files.glance(path, tmp_path / "scratch"))

    assert rows == every(LOGS["requests"], looked_through(path, tmp_path))
    own = connection()
    (extraction,) = otel.extract(own, files.glance(path, tmp_path / "scratch"), Configuration())
    labels = own.execute(
        f"SELECT map_values(map_from_entries(list_filter(map_entries(labels), lambda e: starts_with(e.key, 'own_')))) "
        f"FROM ({extraction.query}) WHERE _row > {CLEAN} AND map_contains(labels, 'own_' || _row) ORDER BY _row"
    ).fetchall()
    assert [label for (label,) in labels] == [["7"], ["7"], ["2.5"], ["many"], ["1e-7"], ["NaN"], ["true"]]


@pytest.mark.parametrize("end", ["\n", ""], ids=["line-end", "no-line-end"])
def test_rows_keep_their_numbers_whatever_the_file_ends_in(end, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(payload(number)) for number in range(1, 20)) + end, encoding="utf-8")
    own = connection()

    (extraction,) = litellm.extract(own, files.glance(path, tmp_path / "scratch"), Configuration())

    rows = own.execute(f"SELECT _row, call_id FROM ({extraction.query})").fetchall()
    assert dict(rows) == {number: f"call-{number}" for number in range(1, 20)}


@pytest.mark.parametrize("name", LOGS)
def test_a_broken_record_costs_itself(name, tmp_path):
    log = LOGS[name]
    path = written(tmp_path, log, ['{"id": "cut', json.dumps(log.record(CLEAN + 2))])
    own = connection()

    (extraction,) = log.connector.extract(own, files.glance(path, tmp_path / "scratch"), Configuration())

    found = [row for (row,) in own.execute(f"SELECT _row FROM ({extraction.query}) ORDER BY 1").fetchall()]
    assert found == [*range(1, CLEAN + 1), CLEAN + 2]
    assert [reject.row for reject in extraction.rejects] == [CLEAN + 1]


def test_a_spend_log_in_csv_keeps_rows_of_several_lines(tmp_path):
    source = gzip.decompress((DATA / "litellm" / "spend_logs_postgres.csv.gz").read_bytes())
    path = tmp_path / "spend.csv"
    path.write_bytes(source)
    own = connection()

    (extraction,) = litellm.extract(own, files.glance(path, tmp_path / "scratch"), Configuration())

    numbers = own.execute(f"SELECT _row FROM ({extraction.query}) ORDER BY 1").fetchall()
    assert numbers == [(row,) for row in range(1, 16)]

"""Spans from senders to a store: what the receiver takes, its inbox, and the source `otlp`; and OTLP files in binary."""

from __future__ import annotations

import gzip
import json
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceResponse,
)

from connectors import otel
from connectors.live import otlp_spool
from connectors.live.otlp_inbox import Inbox
from connectors.live.otlp_texts import without_texts
from connectors.live.source import Window
from connectors.otlp_messages import from_binary, spans_of
from tests.connectors.extracted import DATA, extracted
from tests.connectors.live.spans import BINARY, NOW, TEXT, Client, attributes, binary, call, make_sync, request, span
from tests.connectors.live.stored import rows, settings_of
from tests.operations.command import percall

CAPTURED = [
    DATA / "litellm" / "langfuse_otel_callback_otlp.json.gz",
    DATA / "litellm" / "otel_callback_otlp.json.gz",
    DATA / "langfuse" / "sdk5_otlp.json.gz",
]


def captured(path: Path) -> list[dict[str, Any]]:
    """The export requests of a capture, as JSON."""
    held = json.loads(gzip.decompress(path.read_bytes()))
    return [item.get("body", item) for item in (held if isinstance(held, list) else [held])]


def by_id(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["call_id"]: {key: value for key, value in row.items() if key != "_row"} for row in found}


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.name)
def test_binary_files_tell_what_json_tells(path: Path, tmp_path: Path) -> None:
    told = by_id(extracted(otel, path, tmp_path)[0])
    bodies = [binary(item) for item in captured(path)]
    delimited = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    for name, content in (("one.binpb", gzip.compress(bodies[0])), ("many.bin", delimited)):
        file = tmp_path / name
        file.write_bytes(content)
        found = by_id(extracted(otel, file, tmp_path)[0])
        assert found == (told if name == "many.bin" or len(bodies) == 1 else {key: told[key] for key in found})
        assert found


def test_binary_files_that_are_cut_are_refused_in_words(tmp_path: Path) -> None:
    body = binary(captured(CAPTURED[0])[0])
    file = tmp_path / "cut.bin"
    file.write_bytes(body[: len(body) // 2])
    answer = percall("load", str(file), store=tmp_path / "store")
    assert answer.code == 2
    assert "cut.bin" in answer.err


@pytest.mark.parametrize(
    ("path", "kind"),
    list(zip(CAPTURED, [BINARY, TEXT, BINARY], strict=True)),
    ids=lambda value: getattr(value, "name", value),
)
def test_what_is_sent_is_what_a_file_of_it_holds(path: Path, kind: str, client: Client, tmp_path: Path) -> None:
    for item in captured(path):
        body = binary(item) if kind == BINARY else json.dumps(item).encode()
        if len(body) > 2**20:
            pytest.fail("the capture is larger than the receiver of the tests takes")
        answer = client.post(gzip.compress(body), kind, Content_Encoding="gzip")
        assert (answer.status, answer.headers["content-type"]) == (200, kind)
        assert answer.body == (b"" if kind == BINARY else b"{}")
    sync = make_sync(tmp_path, client.folder)
    assert [item.what for item in otlp_spool.plan(sync.settings, {}, Window(NOW))] == [
        f"{len(captured(path)):,} requests"
    ]
    fetched = []
    for batch in otlp_spool.pull(sync.settings, {}, Window(NOW), tmp_path, lambda _message, _share: None):
        fetched += batch.paths
    told = by_id(extracted(otel, path, tmp_path)[0])
    found = by_id(extracted(otel, fetched[0], tmp_path)[0])
    assert found == told
    assert Inbox(client.folder).waiting() == []


def test_neither_prompts_nor_answers_are_kept(client: Client, tmp_path: Path) -> None:
    messages = json.dumps([{"role": "user", "content": "a very private question " * 200}])
    item = call(
        1, gen_ai__input__messages=messages, gen_ai__output__messages="a very private answer", user__email="a@acme.test"
    )
    item["events"] = [{"name": "gen_ai.user.message", "attributes": attributes(content="a very private event")}]
    item["attributes"] += attributes(note="a very private note " * 30, http__url="http://very-private.example")
    assert client.post(json.dumps(request(item)).encode(), TEXT).status == 200
    sync = make_sync(tmp_path, client.folder)
    held = [path for path in client.folder.rglob("*") if path.is_file()]
    sync.run(NOW)
    held += [path for folder in (sync.folder, sync.store) for path in folder.rglob("*") if path.is_file()]
    for path in held:
        if path.exists():
            assert b"very private" not in path.read_bytes(), path
            assert b"very-private" not in path.read_bytes(), path
            assert b"a@acme.test" not in path.read_bytes(), path
    (stored,) = rows(sync.store, "calls")
    direct = tmp_path / "direct.json"
    direct.write_text(json.dumps(request(item)))
    (told,) = extracted(otel, direct, tmp_path)[0]
    assert stored["input_hash"] == told["input_hash"]
    assert list(stored["prefix_blocks"]) == told["prefix_blocks"]
    assert len(told["prefix_blocks"]) == 4
    assert stored["feature"] == "search"


def test_spans_that_cannot_be_used_are_counted(client: Client, tmp_path: Path) -> None:
    bad = [
        call(2) | {"traceId": ""},
        call(3) | {"spanId": "0000000000000000"},
        call(4) | {"startTimeUnixNano": "0"},
        call(5) | {"spanId": "xyz"},
    ]
    answer = client.post(json.dumps(request(call(1), *bad)).encode(), TEXT)
    assert answer.status == 200
    told = json.loads(answer.body)["partialSuccess"]
    assert told["rejectedSpans"] == "4"
    assert "2 spans: the span id is missing" in told["errorMessage"]
    item = request(call(1), call(4) | {"startTimeUnixNano": "0"})
    answer = client.post(binary(item))
    response = ExportTraceServiceResponse.FromString(answer.body)
    assert response.partial_success.rejected_spans == 1
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 1


def test_a_wrapper_that_is_sent_after_its_call_was_loaded(client: Client, tmp_path: Path) -> None:
    usage = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__output_tokens": 20}
    sync = make_sync(tmp_path, client.folder)
    client.post(binary(request(call(2, parent=3), span(3, parent=1))))
    sync.run(NOW)
    client.post(binary(request(span(1, gen_ai__operation__name="invoke_agent", **usage), call(9, seconds=5, trace=8))))
    sync.run(NOW)
    calls = rows(sync.store, "calls")
    assert sorted(row["call_id"] for row in calls) == [f"{2:016x}", f"{9:016x}"]
    assert sync.position == {"requests": 2}


def test_what_was_not_loaded_stays(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_spool, "AT_ONCE", 2)
    for number in range(1, 6):
        client.post(binary(request(call(number, seconds=number))))
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW, most=2)  # killed after the second batch was loaded, before it was remembered
    assert len(Inbox(client.folder).waiting()) == 3
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 5
    assert Inbox(client.folder).waiting() == []


def test_many_senders_at_once(client: Client, tmp_path: Path) -> None:
    statuses: list[int] = []

    def send(number: int) -> None:
        statuses.extend(client.post(binary(request(call(number * 10 + part)))).status for part in range(1, 6))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 60
    assert client.server.accepted == 60
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW)
    assert len(rows(sync.store, "calls")) == 60


def test_ids_come_through_binary_and_back() -> None:
    item = request(call(1, parent=5), call(2))
    told = list(spans_of(from_binary(binary(item))))
    assert [(entry["traceId"], entry["spanId"], entry.get("parentSpanId")) for entry in told] == [
        (f"{7:032x}", f"{1:016x}", f"{5:016x}"), (f"{7:032x}", f"{2:016x}", None),
    ]  # fmt: skip
    kept, reasons = without_texts(item)
    assert reasons == []
    assert len(list(spans_of(kept))) == 2


def test_cost_and_tokens_arrive_exactly(client: Client, tmp_path: Path) -> None:
    item = call(1)
    item["attributes"] += [{"key": "gen_ai.cost.total_cost", "value": {"doubleValue": 0.0056150001}}]
    client.post(binary(request(item)))
    sync = make_sync(tmp_path, client.folder)
    sync.run(NOW)
    (stored,) = rows(sync.store, "calls")
    assert stored["reported_cost"] == Decimal("0.0056150001")
    assert (stored["uncached_input_tokens"], stored["output_tokens"]) == (100, 20)


def test_check(client: Client, tmp_path: Path) -> None:
    (missing,) = otlp_spool.check(settings_of("otlp", folder=str(tmp_path / "nowhere")))
    assert missing.level == "problem"
    client.post(binary(request(call(1))))
    (fine,) = otlp_spool.check(settings_of("otlp", folder=str(client.folder)))
    assert (fine.level, "1 requests wait" in fine.message) == ("fine", True)

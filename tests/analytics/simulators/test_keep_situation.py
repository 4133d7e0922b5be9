"""What is kept on disk of a what-if's period: equal to what is worked out, to the last bit, and never used for anything else."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from analytics.filters import Filters
from analytics.margins import margins
from analytics.simulators import keep_situation as module
from analytics.simulators.build_situation import build_situation
from analytics.simulators.build_workload import read_parts
from analytics.simulators.infrastructure import Infrastructure
from analytics.simulators.keep_situation import kept_situation, worth_keeping
from analytics.simulators.lasting import Lasting
from analytics.simulators.lever_pages import PAGES, defaults
from analytics.simulators.plain_values import packed, unpacked
from analytics.simulators.run_scenario import monthly_today
from analytics.simulators.situation import Situation
from analytics.simulators.tier_earnings import margins_of
from analytics.simulators.workload import Workload
from analytics.simulators.workload_parts import LaterWorkload
from tests.operations.command import percall
from warehouse.configuration import Configuration
from warehouse.errors import InputError
from warehouse.prepared import FOLDER
from warehouse.reader import open_current

APRIL, MAY = Filters(date(2026, 4, 1), date(2026, 4, 30)), Filters(date(2026, 5, 1), date(2026, 5, 31))


def _calls(month: int, number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Calls of one month, out of order, some at one moment, with and without users, features, usage and a known cost."""
    rand = random.Random(1000 * month + seed)
    first = datetime(2026, month, 1)
    made = []
    for place in range(number):
        model = rand.choice(["gpt-4o", "gpt-4o-mini"])
        made.append(
            {
                "call_id": f"{month}-{seed}-{place}",
                "started_at": (first + timedelta(minutes=rand.randrange(0, 30 * 24 * 60, 7))).isoformat(),
                "provider": "openai",
                "model": model,
                "operation": rand.choice(["chat", "chat", "chat", "embeddings"]),
                "feature": rand.choice([None, "ask", "search", "write"]),
                "user_tier": rand.choice(["free", "pro"]),
                "user_id": rand.choice([None, *(f"u{n}" for n in range(9))]),
                "uncached_input_tokens": None if place % 17 == 0 else rand.randrange(10, 90_000),
                "cache_read_tokens": rand.choice([0, 0, 700]),
                "output_tokens": rand.randrange(0, 900),
                "cost": None if place % 13 == 0 else f"{rand.randrange(1, 10**8) / 10**10:.10f}",
                "max_tokens": rand.choice([None, 600]),
                "finish_reason": rand.choice(["stop", "length"]),
            }
        )
    return made


def _load(store: Path, folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = percall("load", "calls", file, store=store)
    assert answer.code == 0, answer.err


@pytest.fixture
def store(tmp_path: Path) -> Path:
    _load(tmp_path / "store", tmp_path, "spring", [*_calls(4, 300), *_calls(5, 250)])
    return tmp_path / "store"


def _kept(store: Path, filters: Filters = MAY, **settings: Any) -> Situation:
    """As a process that was started anew sees it."""
    return kept_situation(
        open_current(store, settings.pop("configuration", Configuration())), filters, least=1, **settings
    )


def _shown(situation: Situation) -> dict[str, Any]:
    """What the pages of all levers show as they open: every point of the slider, and the range of what is saved."""
    found: dict[str, Any] = {"costs": situation.costs(), "notes": situation.notes, "today": monthly_today(situation)}
    for name, page in PAGES.items():
        if page.missing(situation):
            continue
        try:
            setting = defaults(page, situation)
            found[f"{name} curve"] = page.curve(situation, setting).to_dict("list")
            outcome = page.outcome(situation, setting)
        except InputError as error:
            found[name] = str(error)
            continue
        fall = outcome.waterfall
        found[name] = (
            fall.base,
            fall.steps[0].costs,
            fall.saving_range,
            fall.end_range,
            outcome.by_feature().to_dict("list"),
        )
    return found


def _never(*_arguments: Any, **_names: Any) -> Any:
    raise AssertionError("the calls were read again")


def _arrays(workload: Workload) -> dict[str, Any]:
    return {each.name: getattr(workload, each.name) for each in fields(Workload) if each.name not in ("heavy", "stamp")}


def _assert_same(one: Workload, other: Workload) -> None:
    theirs = _arrays(other)
    for name, value in _arrays(one).items():
        if isinstance(value, np.ndarray):
            assert value.dtype == theirs[name].dtype, name
            assert value.tobytes() == theirs[name].tobytes(), name
        else:
            assert value == theirs[name], name


def test_what_is_read_equals_what_is_worked_out_to_the_last_bit(store: Path) -> None:
    worked_out = build_situation(open_current(store, Configuration()), MAY)
    made = _kept(store)
    assert not isinstance(made.workload, LaterWorkload)
    expected = _shown(worked_out)
    assert len(expected) > 15
    assert _shown(made) == expected
    read = _kept(store)
    assert isinstance(read.workload, LaterWorkload)
    assert _shown(read) == expected
    _assert_same(read.workload, worked_out.workload)
    assert worked_out.rates.units.tobytes() == read.rates.units.tobytes()
    assert tuple(read.rates.price_rows) == tuple(worked_out.rates.price_rows)
    places = np.arange(0, len(read.workload), 9)
    assert read.workload.heavy.call_ids(places) == worked_out.workload.heavy.call_ids(places)
    assert (
        read.workload.heavy.numbers("max_tokens").tobytes() == worked_out.workload.heavy.numbers("max_tokens").tobytes()
    )


def test_a_page_that_was_prepared_is_drawn_without_its_calls(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _shown(_kept(store))
    read = _kept(store)
    monkeypatch.setattr(module, "read_parts", _never)
    monkeypatch.setattr(module, "situation_of", _never)
    monkeypatch.setattr("analytics.simulators.workload_parts.WorkloadParts.workload", _never)
    del expected["costs"]
    assert _shown_without_costs(read) == expected


def _shown_without_costs(situation: Situation) -> dict[str, Any]:
    """`_shown`, but for the costs, which are summed from the calls."""

    class Dear(Situation):
        def costs(self) -> dict[str, float]:
            return {}

    dear = Dear(**{each.name: getattr(situation, each.name) for each in fields(Situation)})
    found = _shown(dear)
    del found["costs"]
    return found


def test_a_lever_on_other_calls_acts_on_the_calls_that_were_kept(store: Path) -> None:
    page = PAGES["output-limit"]
    worked_out, read = build_situation(open_current(store, Configuration()), MAY), (_kept(store), _kept(store))[1]
    for setting in ({"features": ("ask",)}, {"schema": 40, "retry": 50.0}):
        frames = [page.curve(each, {**defaults(page, each), **setting}) for each in (worked_out, read)]
        pd.testing.assert_frame_equal(*frames)
    assert read.workload.is_made  # type: ignore[attr-defined]


def test_a_sample_is_kept_with_its_weights(store: Path) -> None:
    warehouse = open_current(store, Configuration())
    worked_out = build_situation(warehouse, MAY, limit=120)
    assert worked_out.workload.is_sample
    for _ in range(2):
        kept = _kept(store, limit=120)
        assert _shown(kept) == _shown(worked_out)
        _assert_same(kept.workload, worked_out.workload)
    assert kept.workload.sampling_error(kept.workload.spent()) == worked_out.workload.sampling_error(
        worked_out.workload.spent()
    )


def _made_anew(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Filters]]:
    """Of which periods calls were read since."""
    asked: list[Filters] = []

    def counted(warehouse: Any, filters: Filters, **settings: Any) -> Any:
        asked.append(filters)
        return read_parts(warehouse, filters, **settings)

    monkeypatch.setattr(module, "read_parts", counted)

    def told() -> list[Filters]:
        found = [*asked]
        asked.clear()
        return found

    return told


def test_a_load_of_one_month_makes_nothing_of_the_others_anew(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [_shown(_kept(store, month)) for month in (APRIL, MAY)]
    told = _made_anew(monkeypatch)
    _load(store, tmp_path, "more", _calls(5, 40, seed=7))
    sums = {path.name for path in (store / FOLDER).glob("what-if-sums-*")}
    assert _shown(_kept(store, APRIL)) == before[0]
    assert {path.name for path in (store / FOLDER).glob("what-if-sums-*")} <= sums
    assert told() == []
    after = _shown(_kept(store, MAY))
    assert told() == [MAY]
    assert after["costs"] != before[1]["costs"]
    assert after == _shown(build_situation(open_current(store, Configuration()), MAY))


def test_other_prices_other_rules_other_settings_and_other_filters_are_never_answered_from_what_was_kept(
    store: Path, tmp_path: Path
) -> None:
    shown = {"as it was": _shown(_kept(store))}
    prices = tmp_path / "prices.csv"
    prices.write_text(
        "provider,model,token_class,amount,currency,valid_from\n"
        "openai,gpt-4o-mini,input,9.5,USD,2020-01-01\nopenai,gpt-4o-mini,output,19,USD,2020-01-01\n"
    )
    answer = percall("load", "prices", prices, store=store)
    assert answer.code == 0, answer.err
    shown["other prices"] = _shown(_kept(store))
    narrow = replace(MAY, where=(("feature", ("ask",)),))
    shown["a filter"] = _shown(_kept(store, narrow))
    zone = Configuration(reporting_time_zone="Asia/Ho_Chi_Minh")
    shown["a time zone"] = _shown(_kept(store, configuration=zone))
    listed = list(shown.items())
    for place, (name, found) in enumerate(listed):
        for other, theirs in listed[:place]:
            assert found != theirs, (name, other)
    for filters, configuration, name in (
        (MAY, Configuration(), "other prices"),
        (narrow, Configuration(), "a filter"),
        (MAY, zone, "a time zone"),
    ):
        assert _shown(build_situation(open_current(store, configuration), filters)) == shown[name]


def test_an_owner_s_catalogue_that_changes_makes_sums_anew(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _shown(_kept(store))
    sums = len(list((store / FOLDER).glob("what-if-sums-*")))
    monkeypatch.setattr(module, "catalogues", lambda: "another file")
    _shown(_kept(store))
    assert len(list((store / FOLDER).glob("what-if-sums-*"))) == 2 * sums


def test_few_calls_are_not_kept(store: Path) -> None:
    warehouse = open_current(store, Configuration())
    assert not worth_keeping(warehouse, MAY)
    assert worth_keeping(warehouse, MAY, 250)
    assert not worth_keeping(warehouse, MAY, 251)
    assert kept_situation(warehouse, MAY).memo.lasting is None
    assert not (store / FOLDER).exists()


def test_what_levers_change_is_not_kept_as_what_was(store: Path) -> None:
    situation = _kept(store)
    lasting = situation.memo.lasting
    assert isinstance(lasting, Lasting)
    assert lasting.is_of(situation)
    every = np.ones(len(situation.workload), dtype=bool)
    assert not lasting.is_of(situation.vanish(every))
    assert not lasting.is_of(situation.with_workload(situation.workload.repeat(every, 2)))
    assert not lasting.is_of(situation.with_infrastructure(Infrastructure()))
    assert not lasting.is_of(situation.with_model("openai/o1")[0])


# Values


@pytest.mark.parametrize(
    "value",
    [
        None,
        (1, 2.5, "a", None, True, float("inf"), -0.1 + 0.3),
        {"a": (1,), ("b", 2): [Decimal("1.10"), date(2026, 5, 1)]},
        [Decimal("-0.00"), ()],
    ],
    ids=["nothing", "tuple", "pairs", "list"],
)
def test_values_come_back_as_they_were(value: object) -> None:
    found = unpacked(packed(value))
    assert found == value
    assert repr(found) == repr(value)


def test_arrays_and_frames_come_back_as_they_were() -> None:
    arrays = (
        np.array([1.5, np.nan, -0.0]), np.zeros((2, 0, 3)), np.array(3, dtype=np.int32), np.array([True, False]),
        np.arange(12, dtype=np.uint64).reshape(3, 4)[:, ::2], np.broadcast_to(np.float64(1), 5),
    )  # fmt: skip
    for array, found in zip(arrays, unpacked(packed(arrays)), strict=True):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    frame = pd.DataFrame(
        {
            "name": ["a", None],
            "cost": pd.Series([Decimal("1.20"), None], dtype=object),
            "calls": [1, 2],
            "share": [0.1, np.nan],
        }
    )
    pd.testing.assert_frame_equal(unpacked(packed(frame)), frame)


def test_what_is_read_back_is_not_copied() -> None:
    """A month of calls is a hundred megabytes: its arrays lie where the file is mapped."""
    table = packed((np.arange(1000), np.arange(5, dtype=np.int8)))
    starts = [array.__array_interface__["data"][0] for array in unpacked(table)]
    assert starts[0] == table["bytes"].chunk(0).buffers()[1].address
    assert starts[1] == starts[0] + 8000
    whole = table["bytes"].chunk(0)
    cut = pa.table({"bytes": pa.chunked_array([whole.slice(0, 99), whole.slice(99)])}, schema=table.schema)
    assert unpacked(cut)[0].tolist() == list(range(1000))


def test_margins_that_are_kept_are_those_that_are_worked_out(store: Path) -> None:
    warehouse = open_current(store, Configuration())
    expected = margins(warehouse, MAY)
    assert len(expected) > 3
    pd.testing.assert_frame_equal(margins_of(warehouse, MAY), expected)
    anew = open_current(store, Configuration())
    assert (found := list((store / FOLDER).glob("margins-*")))
    pd.testing.assert_frame_equal(margins_of(anew, MAY), expected)
    assert list(map(type, margins_of(anew, MAY)["cost"])) == list(map(type, expected["cost"]))
    narrower = replace(MAY, where=(("feature", ("ask",)),))
    pd.testing.assert_frame_equal(margins_of(anew, narrower), margins(anew, narrower))
    assert list((store / FOLDER).glob("margins-*")) == found


def test_what_cannot_be_kept_is_refused() -> None:
    for value in (object(), np.array([object()]), datetime(2026, 5, 1), pd.DataFrame({"a": [1]}, index=["x"])):
        with pytest.raises(TypeError):
            packed(value)

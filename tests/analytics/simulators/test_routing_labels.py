"""Labelled calls: which are drawn, how they are kept, and what they say of a threshold."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.filters import Filters
from analytics.simulators.build_situation import build_situation
from analytics.simulators.call_times import call_times
from analytics.simulators.files_routing_labels import read_judgements
from analytics.simulators.routing import ModelRouting
from analytics.simulators.routing_labels import (
    Label,
    calls_to_label,
    judged_calls,
    labels_for,
    places_of,
    remove_labels,
    save_labels,
)
from analytics.simulators.situation import Situation
from analytics.simulators.wilson import counted_for, wilson
from tests.analytics.simulators.made import call, situation_of
from tests.analytics.simulators.samples import DATA, rows_of_file
from warehouse.errors import InputError
from warehouse.reader import Warehouse
from warehouse.state import State

TARGET = "openai/small"
GSM8K = DATA / "routing" / "gsm8k_gpt4_vs_mixtral.csv.gz"


def _situation(scores: list[float], tokens: list[tuple[int, int]] | None = None) -> Situation:
    """One call per score, a second apart, of two features by turns."""
    sizes = tokens or [(2000, 300)] * len(scores)
    calls = [
        call(second=n, feature="ask" if n % 2 else "report", uncached_input_tokens=sizes[n][0], output_tokens=sizes[n][1])
        for n in range(len(scores))
    ]  # fmt: skip
    return situation_of(calls, complexity=np.array(scores, dtype=np.float32))


def _labels(situation: Situation, answers: list[tuple[float, float]]) -> list[Label]:
    times = situation.workload.started_at.tolist()
    return [Label(f"call {n}", times[n], *pair) for n, pair in enumerate(answers)]


def test_labels_of_calls_say_what_the_published_sample_says() -> None:
    """GSM8K's prompts as calls whose logged complexity is the prompt's length: APGR and CPT of the length router, and its bill, as published."""
    rows = rows_of_file(GSM8K)
    tokens = [(int(row["prompt_tokens_cl100k"]), int(row["strong_out_tokens_cl100k"])) for row in rows]
    situation = _situation([float(len(row["prompt"])) for row in rows], tokens)
    labels = _labels(situation, [(float(row["strong_correct"]), float(row["weak_correct"])) for row in rows])
    lever = ModelRouting(to=TARGET, score="logged")
    found = judged_calls(lever, situation, labels)
    assert found is not None
    assert (round(found.curve.apgr or 0, 4), round(100 * (found.curve.cpt(0.5) or 0), 2)) == (0.5978, 36.80)
    assert round(100 * (found.curve.cpt(0.8) or 0), 2) == 67.02
    # All on today's model is the published bill of the strong answers, 1.814835 USD.
    assert found.curve.cost is not None
    assert found.curve.cost[-1] * len(rows) == pytest.approx(1.814835, abs=1e-9)
    # The target is asked for as many tokens as today's answer has.
    weak_bill = sum(one * 0.15 + two * 0.60 for one, two in tokens) / 1e6
    assert found.curve.cost[0] * len(rows) == pytest.approx(weak_bill, abs=1e-9)


def test_a_threshold_by_hand() -> None:
    """Scores 1 to 5; below 4 three calls are routed: one answer worse, one better, one the same."""
    situation = _situation([1.0, 2, 3, 4, 5])
    answers = [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (1.0, 0.0)]
    found = judged_calls(ModelRouting(to=TARGET), situation, _labels(situation, answers))
    assert found is not None
    risk = found.at(4.0)
    assert (risk.labels, risk.routed, risk.worse, risk.better) == (5, 3, 1, 1)
    assert risk.quality == pytest.approx(4 / 5)
    assert risk.pgr == pytest.approx((0.8 - 0.4) / (0.8 - 0.4))
    assert risk.worse_share == 0.2
    # Wilson's interval for 1 of 5, as in any table of it.
    assert risk.interval == pytest.approx((0.0362, 0.6245), abs=1e-4)
    assert found.at(-np.inf).worse == 0
    assert found.at(np.inf).routed == 5
    assert found.threshold_for(0.4) == 4.0
    assert found.threshold_for(0.0) == np.inf


def test_labels_of_other_periods_are_counted_apart() -> None:
    situation = _situation([1.0, 2.0])
    labels = [*_labels(situation, [(1.0, 0.0)]), Label("elsewhere", 5, 1.0, 1.0)]
    found = judged_calls(ModelRouting(to=TARGET), situation, labels)
    assert found is not None
    assert (len(found.sample), found.outside) == (1, 1)
    assert places_of(labels, situation.workload).tolist() == [0, -1]
    assert judged_calls(ModelRouting(to=TARGET), situation, labels[1:]) is None
    assert judged_calls(ModelRouting.neutral(), situation, labels) is None


def test_calls_to_judge_are_drawn_evenly_and_once() -> None:
    size = 400
    situation = _situation([float(n) for n in range(size)])
    lever = ModelRouting(to=TARGET)
    seen: list[int] = []
    labels: list[Label] = []
    for _ in range(5):
        frame = calls_to_label(lever, situation, labels)
        assert list(frame["score"]) == sorted(frame["score"])
        assert set(frame["feature"]) == {"ask", "report"}
        assert abs((frame["feature"] == "ask").sum() - 10) <= 1
        # Every twentieth of the scores is there once: their mean is within one stratum's width of the whole's.
        assert abs(np.mean([float(each) for each in frame["score"]]) - (size - 1) / 2) <= size / 20
        places = [int(each) for each in frame["place"]]
        assert not set(places) & set(seen)
        seen += places
        labels += [Label(f"call {n}", int(situation.workload.started_at[n]), 1.0, 1.0) for n in places]
    assert len(seen) == 100
    half = calls_to_label(lever, situation, labels[:10])
    assert set(half["place"]) == set(seen[10:20])


def test_calls_that_cannot_be_routed_are_not_asked_for() -> None:
    with pytest.raises(InputError, match="no call of this period can be routed"):
        calls_to_label(ModelRouting.neutral(), _situation([1.0]))


def test_labels_are_kept_by_target_in_versions(tmp_path: Path) -> None:
    state = State(tmp_path)
    first, second = Label("a", 1, 1.0, 0.0), Label("b", 2, 1.0, 1.0)
    assert save_labels(state, TARGET, [first, second], author="ann") == 2
    save_labels(state, "other/model", [first], author="bob")
    changed = Label("a", 1, 0.0, 1.0)
    save_labels(state, TARGET, [changed], author="bob")
    assert set(labels_for(state, TARGET)) == {changed, second}
    assert labels_for(state, "nobody") == ()
    assert remove_labels(state, TARGET, author="ann") == 2
    assert labels_for(state, TARGET) == ()
    assert labels_for(state, "other/model") == (first,)
    assert len(state.history("routing label")) == 6
    with pytest.raises(InputError, match="as numbers"):
        save_labels(state, TARGET, [Label("c", 3, float("nan"), 1.0)], author="ann")


@given(st.floats(0, 1), st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.3]))
def test_so_many_labels_and_no_fewer_bring_the_interval_there(share: float, within: float) -> None:
    """The interval itself, of a share that so many labels can have, is no wider, up to the rounding of the share to whole labels."""
    needed = counted_for(share, within)
    z2 = 1.959963984540054**2

    def half(of: int) -> float:
        return 1.959963984540054 / (1 + z2 / of) * (share * (1 - share) / of + z2 / (4 * of * of)) ** 0.5

    assert half(needed) <= within
    assert needed == 1 or half(needed - 1) > within


def test_half_of_a_hundred() -> None:
    """385 for ±5 points at one half without Wilson's correction (1.96² / 4 / 0.0025 = 384.1); his interval needs z² fewer."""
    assert counted_for(0.5, 0.05) == 381
    low, high = wilson(190, 380) or (0, 0)
    assert (high - low) / 2 > 0.05
    low, high = wilson(191, 382) or (0, 0)
    assert (high - low) / 2 <= 0.05


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_files_of_judgements(tmp_path: Path) -> None:
    by_call = read_judgements(
        _written(tmp_path / "c.csv", "call_id,quality\na,same\nb,Worse\n,same\na,better\nc,so so\nd,better\n")
    )
    assert (by_call.by, by_call.keys, by_call.rejected, by_call.repeated) == ("call_id", ("a", "b", "d"), 2, 1)
    assert by_call.strong.tolist() == [1, 1, 0]
    assert by_call.weak.tolist() == [1, 0, 1]
    assert by_call.reject == "row 3 lacks a call_id, or a quality of same, worse, better"
    labels, lost = by_call.labels({"a": [7], "b": [8, 9]})
    assert labels == (Label("a", 7, 1.0, 1.0),)
    assert lost == ("b", "d")
    by_prompt = read_judgements(
        _written(tmp_path / "p.csv", "prompt,strong_correct,weak_correct\nlong one,1,0\nhi,1,1\nhi,true,false\n")
    )
    assert (by_prompt.by, len(by_prompt), by_prompt.repeated) == ("prompt", 3, 0)
    assert by_prompt.judged_prompts(draws=10).score.tolist() == [8, 2, 2]
    with pytest.raises(InputError, match="no prompts to score"):
        by_call.judged_prompts()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("question,quality\na,same\n", "call_id or prompt"),
        ("call_id,weak_correct\na,1\n", "strong_correct and weak_correct, or quality"),
        ("call_id,quality\na,fine\n", "no row has a call_id and a quality of same, worse, better"),
        ("call_id,quality\n", "no row in this file"),
    ],
    ids=["no key", "half a label", "unknown word", "empty"],
)
def test_files_that_cannot_be_used(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        read_judgements(_written(tmp_path / "x.csv", text))


def test_calls_of_the_demo_are_found_again(demo_warehouse: Warehouse) -> None:
    """A call that is drawn is found by its id, with the moment that the log has, and its label comes back to it."""
    situation = build_situation(demo_warehouse, Filters(datetime(2026, 3, 1).date(), datetime(2026, 3, 31).date()))
    lever = ModelRouting(to="openai/gpt-4o-mini")
    frame = calls_to_label(lever, situation, with_texts=True)
    assert len(frame) == 20
    times = call_times(demo_warehouse, [*frame["call_id"], "nobody"])
    assert "nobody" not in times
    for row in frame.to_dict("records"):
        assert [pd.Timestamp(at, unit="us") for at in times[row["call_id"]]] == [row["started_at"]]
    labels = [Label(each, times[each][0], 1.0, 1.0) for each in frame["call_id"]]
    assert places_of(labels, situation.workload).tolist() == list(frame["place"])
    found = judged_calls(lever, situation, labels)
    assert found is not None
    assert found.outside == 0
    assert found.curve.cost is not None
    assert found.curve.cost[0] < found.curve.cost[-1]
    assert calls_to_label(lever, situation, labels)["place"].isin(frame["place"]).sum() == 0

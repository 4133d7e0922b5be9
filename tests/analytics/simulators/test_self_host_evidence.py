"""When own GPUs pay, how many keep waiting short, which hold the model."""

from __future__ import annotations

from decimal import Decimal

import pytest

from analytics.simulators.self_host import SelfHost, replicas_for_latency, tokens_per_second
from analytics.simulators.self_host_evidence import LIMITS, gpus_that_fit, replicas_by_latency, worth
from analytics.simulators.vram import find_architecture, memory_needed
from tests.analytics.simulators.made import SMALL, call, situation_of
from warehouse.errors import InputError
from warehouse.gpu_catalogue import ARTICLE_SOURCE

OWN = SelfHost(share=1.0, usd_per_hour=0.8048)


def test_the_published_break_even() -> None:
    """75 % in and 25 % out at 0.15/0.60, on a GPU of 0.8048 USD per hour and 730 hours: 2,238M tokens a month, 852 per second, more than an L4
    gives."""
    calls = [call(second=n, model=SMALL, uncached_input_tokens=3000, output_tokens=1000) for n in range(50)]
    found = worth(OWN, situation_of(calls))
    assert found.price == pytest.approx(0.2625)
    assert found.replica_cost == pytest.approx(587.504)
    assert found.break_even_tokens / 1e6 == pytest.approx(2238, abs=0.5)
    assert round(found.steady) == 852
    assert not found.is_feasible
    assert "It never does" in found.words
    # 50 calls of 4,000 tokens in 28 days, as a month of 30.4375.
    assert found.tokens_per_month == pytest.approx(200_000 * 30.4375 / 28)
    prefill, decode = tokens_per_second(OWN)
    assert found.makes == pytest.approx(0.7 * 4000 / (3000 / prefill + 1000 / decode))


def test_dear_calls_pay_sooner_and_the_rest_counts() -> None:
    calls = [call(second=n) for n in range(50)]
    cheap = worth(OWN, situation_of(calls))
    dear = worth(SelfHost(share=1.0, usd_per_hour=0.8048, other_usd_per_month=412.496), situation_of(calls))
    assert dear.replica_cost == pytest.approx(1000)
    assert dear.break_even_tokens == pytest.approx(cheap.break_even_tokens * 1000 / 587.504)
    assert "which is too few" in cheap.words
    with pytest.raises(InputError, match="no call that an own model could serve"):
        worth(OWN, situation_of([call(cost=None)]))


def test_calls_on_own_gpus_have_nowhere_to_move() -> None:
    """What costs nothing a call is served by machines that are paid by the hour: only the others leave an interface."""
    paid = [call(second=n) for n in range(50)]
    own = [call(second=50 + n, model=("self-hosted", "llama"), cost=0.0) for n in range(100)]
    unknown = [call(second=150, cost=None)]
    alone, both = situation_of(paid), situation_of([*paid, *own, *unknown])
    assert OWN.touches(both).sum() == 50
    assert worth(OWN, both) == worth(OWN, alone)
    assert (
        OWN.apply(both).infrastructure.cost("GPU inference")
        == OWN.apply(alone).infrastructure.cost("GPU inference")
        > 0
    )


def test_shorter_waits_need_no_fewer_replicas() -> None:
    calls = [call(second=10 * (n // 40), output_tokens=50) for n in range(400)]
    situation = situation_of(calls)
    frame = replicas_by_latency(OWN, situation)
    assert tuple(frame["limit"]) == LIMITS
    replicas = [int(each) for each in frame["replicas"]]
    assert replicas == sorted(replicas, reverse=True)
    assert replicas[0] > replicas[-1] >= 1
    assert all(share <= 0.05 for share in frame["share_waiting"])
    assert replicas[2] == replicas_for_latency(OWN, situation, limit=1.0).replicas
    assert frame["cost"].iloc[2] == (replicas[2] * Decimal("0.8048") * 730).quantize(Decimal("0.01"))


def test_gpus_that_hold_the_model() -> None:
    """8B at 16 bits are 16 GB of weights: with 8 requests of 2,048 tokens a 24 GB card holds it, a 16 GB one does not."""
    frame = gpus_that_fit(SelfHost(share=1.0))
    one = frame[frame["gpus_needed"] == 1].set_index("gpu")
    assert "L4" in one.index
    assert "T4" not in one.index
    needed = memory_needed(find_architecture("llama-3.1-8b"), bits=16, context=2048, batch=8).total
    assert one.loc["L4", "memory_share"] == pytest.approx(needed / 24e9)
    prices = [float(each) for each in frame["usd_per_hour"]]
    assert prices == sorted(prices)
    assert frame["usd_per_month"].iloc[0] == Decimal(frame["usd_per_hour"].iloc[0]) * 730
    assert not (frame["source"] == ARTICLE_SOURCE).any()

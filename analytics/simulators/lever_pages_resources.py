"""Pages of the levers on what is rented: GPUs, own models, spot capacity, commitments, the vector database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from analytics.frames import frame_of
from analytics.simulators.commitments import CommittedUse, commitment, hourly_use
from analytics.simulators.drawn_effects import self_host_effect
from analytics.simulators.effect import Effect
from analytics.simulators.gpu_rightsizing import GpuRightsizing
from analytics.simulators.infrastructure import CostLine
from analytics.simulators.lever import Lever
from analytics.simulators.lever_page import (
    NO_SAMPLES,
    SHARES,
    STEPS,
    Control,
    Detail,
    LeverPage,
    Setting,
    calls_missing,
    chosen_features,
    features_control,
    number_of,
    share_of,
)
from analytics.simulators.resource_effects import resource_effect
from analytics.simulators.self_host import SelfHost
from analytics.simulators.situation import Situation
from analytics.simulators.slider import kept_for_good
from analytics.simulators.spot import Spot
from analytics.simulators.to_the_cent import cents
from analytics.simulators.vector_database import CATEGORY as VECTOR_DATABASE
from analytics.simulators.vector_database import VectorDatabase
from analytics.simulators.vram import read_architectures
from warehouse.gpu_catalogue import gpu_catalogue

AS_TODAY = "As today"
BUSY: Mapping[str, float] = {f"{percent}%": percent / 100 for percent in range(30, 100, 5)}
MEANS: Mapping[str, float] = {f"{percent}%": percent / 100 for percent in range(0, 201, 10)}
VECTORS: Mapping[str, float] = {
    "100k": 1e5, "300k": 3e5, "1M": 1e6, "3M": 3e6, "10M": 1e7, "30M": 3e7, "100M": 1e8,
}  # fmt: skip
BITS = ("16", "8", "4")
PLACES: Mapping[str, str] = {"Own nodes": "own", "A managed service": "managed"}
GPU = "GPU inference"
COMMITTABLE = ("GPU inference", "LLM API", "Vector database")
CAPACITY = ("GPU inference", "Vector database", "Storage and transfer")


def _missing(category: str, what: str, situation: Situation) -> str | None:
    if situation.infrastructure.matching(category=category):
        return None
    return f"No {what} is billed in this period and these filters. Load a cloud bill, choose other days, or remove a filter."


def changed_lines(situation: Situation, lever: Lever) -> Detail | None:
    """What is rented, today and with the lever: the lines that differ. Columns: category, name, cost, cost_after, saving (Decimal, USD per month)."""
    after = lever.apply(situation).infrastructure
    if after is situation.infrastructure:
        return None
    costs: dict[tuple[str, str], list[float]] = {}
    for place, lines in enumerate((situation.infrastructure.lines, after.lines)):
        for line in lines:
            costs.setdefault(_name(line), [0.0, 0.0])[place] += line.cost * situation.window.scale_to_month
    rows = [
        {"category": key[0], "name": key[1], "cost": cents(old), "cost_after": cents(new), "saving": cents(old) - cents(new)}
        for key, (old, new) in costs.items()
        if cents(old) != cents(new)
    ]  # fmt: skip
    frame = frame_of(
        sorted(rows, key=lambda row: (-row["cost"], row["name"])), ("category", "name", "cost", "cost_after", "saving")
    )
    return Detail("What is rented", "Resources whose cost changes; USD per month, simulated", frame, {
        "category": ("Category", "text", None), "name": ("Resource", "text", None), "cost": ("Today", "money", None),
        "cost_after": ("With this setting", "money", None), "saving": ("Saving", "money", None),
    })  # fmt: skip


def _name(line: CostLine) -> tuple[str, str]:
    return line.category, line.resource or line.service


# GPU right-sizing


def _gpu_names() -> tuple[str, ...]:
    return tuple(sorted(gpu_catalogue()["gpu"].unique()))


def gpu_kinds(situation: Situation) -> dict[str, tuple[str, ...]]:
    """The resources of each kind of GPU that is billed and logged, the dearest kind first: one right-sizing moves one kind."""
    table = situation.utilization
    if table.empty:
        return {}
    cost: dict[str, float] = {}
    found: dict[str, list[str]] = {}
    of_resource = dict(zip(table["resource"], table["gpu"], strict=True))
    for line in situation.infrastructure.matching(category=GPU):
        kind = of_resource.get(line.resource)
        if isinstance(kind, str) and line.resource is not None:
            cost[kind] = cost.get(kind, 0.0) + line.cost
            found.setdefault(kind, []).append(line.resource)
    return {kind: tuple(sorted(set(found[kind]))) for kind in sorted(found, key=lambda kind: -cost[kind])}


def _gpu_controls(situation: Situation) -> tuple[Control, ...]:
    kinds = tuple(gpu_kinds(situation))
    today = (
        Control("of", "Today's GPUs that move", "choice", kinds[0], "Kinds that are billed and whose load is logged.", kinds),
    ) if len(kinds) > 1 else ()  # fmt: skip
    return (
        *today,
        Control("busy", "How busy replicas are kept", "steps", "70%", "The rest is room for bursts. As today: nothing changes.",
                (AS_TODAY, *BUSY), main=True),
        Control("gpu", "GPU", "choice", "L4", "From data/gpus.csv, at the cheapest price that can be rented.", _gpu_names()),
        Control("bits", "Bits of a weight", "choice", "8", "Fewer bits need less memory and are faster.", BITS),
        Control("least", "Replicas that always run", "number", 0, "0: scales to zero, and starts cold.", high=1000),
        Control("cold", "Cold start", "number", 120.0, "Billed for every replica that is started.", high=3600, step=30, unit="seconds"),
        Control("hours", "Billed by whole hours", "switch", False, "Instead of by the second."),
    )  # fmt: skip


def _gpu(situation: Situation, setting: Setting) -> GpuRightsizing:
    if setting["busy"] == AS_TODAY:
        return GpuRightsizing.neutral()
    return GpuRightsizing(
        resources=gpu_kinds(situation).get(setting["of"], ()) if setting.get("of") else (),
        gpu=setting["gpu"],
        bits=int(setting["bits"]),
        target_utilization=number_of(setting["busy"], BUSY),
        min_replicas=int(setting["least"]),
        cold_start_seconds=setting["cold"],
        whole_hours=setting["hours"],
    )


def _gpu_effect(situation: Situation, setting: Setting) -> Effect:
    return resource_effect(_gpu(situation, setting), situation)


GPUS = LeverPage(
    key="gpu", kind=GpuRightsizing,
    lead="The load that GPUs carried, hour by hour, on other GPUs that run only as much as it needs.",
    what="GPU right-sizing", axis="Busy share of replicas", changed="Calls changed", risk="Quality lost",
    controls=_gpu_controls, build=_gpu, effect=_gpu_effect,
    action=lambda setting: f"Serving the load on {setting['gpu']} at {setting['bits']} bits, {setting['busy']} busy,",
    quality=lambda _situation, lever, _setting: (
        "None at today's 16 bits." if cast("GpuRightsizing", lever).bits == 16 else f"{NO_SAMPLES}: fewer bits may answer worse."
    ),
    missing=lambda situation: _missing(GPU, "GPU", situation), detail=changed_lines,
)  # fmt: skip


# Own models


def _own_controls(situation: Situation) -> tuple[Control, ...]:
    return (
        Control("share", "Calls that an own model serves", "steps", "50%", "Part of the chosen calls.", tuple(SHARES), main=True),
        Control("model", "Model", "choice", "llama-3.1-8b", "From data/model_architectures.csv.", tuple(sorted(read_architectures()))),
        Control("gpu", "GPU", "choice", "L4", "From data/gpus.csv.", _gpu_names()),
        Control("bits", "Bits of a weight", "choice", "16", "Fewer bits need less memory and are faster.", BITS),
        Control("gpus", "GPUs per replica", "number", 1, "A large model is spread over several.", low=1, high=64),
        Control("batch", "Requests at once", "number", 8, "How many a replica serves at the same time.", low=1, high=1000),
        features_control(situation),
        Control("other", "People and the rest", "number", 0.0, "What own models cost beside GPUs.", high=10_000_000, step=100,
                unit="USD a month"),
    )  # fmt: skip


def _own(_situation: Situation, setting: Setting) -> SelfHost:
    return SelfHost(
        share=share_of(setting), calls=chosen_features(setting), model=setting["model"], gpu=setting["gpu"], bits=int(setting["bits"]),
        gpus=int(setting["gpus"]), batch=int(setting["batch"]), other_usd_per_month=setting["other"],
    )  # fmt: skip


def _own_effect(situation: Situation, setting: Setting) -> Effect:
    return self_host_effect(_own(situation, setting), situation, STEPS)


OWN = LeverPage(
    key="own", kind=SelfHost,
    lead="Calls leave the paid interface and are served on rented GPUs, as many as each hour needs.",
    what="own models", axis="Share of calls", changed="Calls moved", risk="Quality lost",
    controls=_own_controls, build=_own, effect=_own_effect,
    action=lambda setting: f"Serving {setting['share']} of the calls with {setting['model']} on {setting['gpu']}",
    quality=lambda _situation, _lever, _setting: f"{NO_SAMPLES}: try the own model on your own calls.",
    missing=calls_missing, detail=changed_lines,
)  # fmt: skip


# Spot


def _spot_controls(_situation: Situation) -> tuple[Control, ...]:
    return (
        Control("stays", "Hours that stay on demand", "steps", "30%", "The rest runs on spot capacity.", tuple(reversed(list(SHARES))), main=True),
        Control("category", "Of", "choice", GPU, "Whose resources move.", CAPACITY),
        Control("price", "Spot price", "number", 40.0, "Relative to the price paid today.", high=100, step=5, unit="% of today's"),
        Control("between", "Hours between interruptions", "number", 6.0, "On average, at random.", low=0.05, high=10_000, step=1),
        Control("checkpoint", "A checkpoint takes", "number", 60.0, "Written at Daly's interval.", low=1, high=86_400, step=10, unit="seconds"),
        Control("restart", "A restart takes", "number", 300.0, "After every interruption.", high=86_400, step=30, unit="seconds"),
    )  # fmt: skip


def _spot(_situation: Situation, setting: Setting) -> Spot:
    stays = number_of(setting["stays"], SHARES)
    if stays == 1:
        return Spot.neutral()
    return Spot(
        price_ratio=setting["price"] / 100, category=setting["category"], hours_between=setting["between"],
        checkpoint_seconds=setting["checkpoint"], restart_seconds=setting["restart"], on_demand_share=stays,
    )  # fmt: skip


def _spot_effect(situation: Situation, setting: Setting) -> Effect:
    return resource_effect(_spot(situation, setting), situation, risk=0.0)


SPOT = LeverPage(
    key="spot", kind=Spot,
    lead="Resources run on capacity that can be taken away, and repeat what interruptions lose.",
    what="spot capacity", axis="Share that stays on demand", changed="Calls changed", risk="Answers changed",
    controls=_spot_controls, build=_spot, effect=_spot_effect,
    action=lambda setting: f"Spot capacity for {setting['category']}, {setting['stays']} of the hours on demand,",
    quality=lambda _situation, _lever, _setting: "Work ends later when capacity is missing; what nobody can wait for stays on demand.",
    missing=lambda situation: None if situation.infrastructure.matching() else _missing(GPU, "resource", situation), detail=changed_lines,
)  # fmt: skip


# Commitments


def _committable(situation: Situation) -> tuple[str, ...]:
    """Of `COMMITTABLE` what is paid for under the filters, in its order."""
    calls = kept_for_good(situation, "categories that calls pay for", (), lambda: _paid_by_calls(situation))
    return tuple(
        category
        for category in COMMITTABLE
        if category in calls
        or any(bool((line.daily > 0).any()) for line in situation.infrastructure.matching(category=category))
    )


def _paid_by_calls(situation: Situation) -> tuple[str, ...]:
    """Cost categories in which a call cost anything, by name."""
    return tuple(
        sorted(category for category, paid in situation.workload.spent_by_category().items() if (paid > 0).any())
    )


def _nothing_to_commit(situation: Situation) -> str | None:
    if _committable(situation):
        return None
    return (
        f"No {', '.join(COMMITTABLE[:-1])} or {COMMITTABLE[-1]} is paid for in this period and these filters: a commitment has nothing to cover. "
        "Choose other days, or remove a filter."
    )


def _committed_controls(situation: Situation) -> tuple[Control, ...]:
    paid = _committable(situation) or COMMITTABLE
    return (
        Control("level", "Commitment, relative to the mean hourly use", "steps", "70%", "It is paid in every hour, used or not.",
                tuple(MEANS), main=True),
        Control("category", "Of", "choice", paid[0], "Whose spend it covers: what is paid for under these filters.", paid),
        Control("discount", "Discount", "number", 30.0, "On what is committed to.", high=100, step=5, unit="%"),
    )  # fmt: skip


def _committed(situation: Situation, setting: Setting) -> CommittedUse:
    level = number_of(setting["level"], MEANS)
    if level == 0:
        return CommittedUse.neutral()
    hourly, _ = hourly_use(situation, setting["category"])
    return CommittedUse(
        usd_per_hour=level * float(hourly.mean()), discount=setting["discount"] / 100, category=setting["category"]
    )


def _unused(situation: Situation, lever: CommittedUse) -> float | None:
    if lever.usd_per_hour == 0:
        return 0.0
    hourly, _ = hourly_use(situation, lever.category)
    used = commitment(np.maximum(hourly, 0.0), lever.usd_per_hour, lever.discount).utilization
    return None if used is None else max(0.0, 1 - used)


def _committed_effect(situation: Situation, setting: Setting) -> Effect:
    lever = _committed(situation, setting)
    return resource_effect(lever, situation, risk=_unused(situation, lever))


def _committed_quality(situation: Situation, lever: Lever, _setting: Setting) -> str:
    chosen = cast("CommittedUse", lever)
    unused = _unused(situation, chosen)
    if not chosen.usd_per_hour or unused is None:
        return "Nothing is committed to."
    return (
        f"{unused:.0%} of a commitment of {chosen.usd_per_hour:.4g} USD per hour would be paid without use; "
        f"it pays as long as no more than {chosen.discount:.0%} is. Future use may be less than this period's."
    )


COMMITTED = LeverPage(
    key="commit", kind=CommittedUse,
    lead="An hourly spend is promised for a discount; hours that use less waste it, hours that use more pay the rest on demand.",
    what="commitments", axis="Commitment, of mean hourly use", changed="Calls changed", risk="Paid without use",
    controls=_committed_controls, build=_committed, effect=_committed_effect,
    action=lambda setting: f"Committing to {setting['level']} of the mean hourly use of {setting['category']}",
    quality=_committed_quality, missing=_nothing_to_commit, detail=changed_lines,
)  # fmt: skip


# Vector database


def _vector_controls(_situation: Situation) -> tuple[Control, ...]:
    return (
        Control("vectors", "Vectors stored", "steps", "3M", "The bill does not say how many there are. As today: nothing changes.",
                (AS_TODAY, *VECTORS), main=True),
        Control("to", "Moves to", "choice", "Own nodes", "What takes its place.", tuple(PLACES)),
        Control("dimensions", "Dimensions", "number", 1536, "Numbers in a vector.", low=1, high=100_000, step=128),
        Control("bytes", "Bytes of a number", "choice", "4", "Less: quantised.", ("4", "2", "1")),
        Control("queries", "Queries", "number", 3.0, "Searches of a managed service.", high=1_000_000, step=1, unit="millions a month"),
        Control("copies", "Copies", "number", 2, "Of own nodes.", low=1, high=100),
        Control("work", "Work on own nodes", "number", 0.0, "People.", high=1_000_000, step=100, unit="USD a month"),
    )  # fmt: skip


def _vectors(_situation: Situation, setting: Setting) -> VectorDatabase:
    if setting["vectors"] == AS_TODAY:
        return VectorDatabase.neutral()
    return VectorDatabase(
        to=PLACES.get(setting["to"], "own"), vectors=number_of(setting["vectors"], VECTORS), dimensions=int(setting["dimensions"]),
        bytes_each=int(setting["bytes"]), queries=setting["queries"] * 1e6, copies=int(setting["copies"]),
        hours_of_work=1.0 if setting["work"] else 0.0,
        usd_per_hour_of_work=min(setting["work"], 10_000.0),
    )  # fmt: skip


def _vector_effect(situation: Situation, setting: Setting) -> Effect:
    return resource_effect(_vectors(situation, setting), situation)


VECTOR = LeverPage(
    key="vectors", kind=VectorDatabase,
    lead="The vector database that is billed is replaced: own nodes with enough memory, or a service paid by storage and reads.",
    what="the vector database", axis="Vectors stored", changed="Calls changed", risk="Recall lost",
    controls=_vector_controls, build=_vectors, effect=_vector_effect,
    action=lambda setting: f"{setting['vectors']} vectors {'on own nodes' if setting['to'] == 'Own nodes' else 'in a managed service'}",
    quality=lambda _situation, _lever, setting: (
        "None at today's precision." if setting["bytes"] == "4" else f"{NO_SAMPLES}: quantised vectors find a little less."
    ),
    missing=lambda situation: _missing(VECTOR_DATABASE, "vector database", situation), detail=changed_lines,
)  # fmt: skip


RESOURCE_PAGES: tuple[LeverPage, ...] = (GPUS, OWN, SPOT, COMMITTED, VECTOR)
"""In the order of the navigation."""

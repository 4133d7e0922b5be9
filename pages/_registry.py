"""Which pages there are: the FinOps Foundation's three phases, and the pages of each, in reading order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from warehouse.people import ADMIN, VIEWER

Phase = Literal["Inform", "Optimize", "Operate"]

PAGES_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class PageEntry:
    """One page.

    `script` lies under pages/inform, pages/optimize or pages/operate, never beside `_shell.py`. `question` is what
    the page answers, in one sentence: the tooltip of its entry in the navigation. `icon` is a Material symbol's name.
    A page with `needs_data` False is shown in an empty store too. Who lacks `role` has no such page: neither entry nor address.
    """

    phase: Phase
    title: str
    icon: str
    url_path: str
    script: Path
    question: str
    needs_data: bool = True
    role: str = VIEWER


def _page(
    phase: Phase, title: str, icon: str, name: str, question: str, *, needs_data: bool = True, role: str = VIEWER
) -> PageEntry:
    """An entry whose script is pages/<phase>/<name>.py and whose address is the name with hyphens."""
    script = PAGES_FOLDER / phase.lower() / f"{name}.py"
    return PageEntry(phase, title, icon, name.replace("_", "-"), script, question, needs_data, role)


REGISTRY: tuple[PageEntry, ...] = (
    _page(
        "Inform",
        "Overview",
        "monitoring",
        "overview",
        "What did it cost, what changed, and where is the month heading?",
    ),
    _page("Inform", "Features", "category", "features", "Which feature costs how much, on how many calls?"),
    _page("Inform", "Models and tokens", "neurology", "models", "Which models and token classes cost how much?"),
    _page(
        "Inform",
        "Why did cost change?",
        "waterfall_chart",
        "why_changed",
        "What made this period dearer or cheaper than another: calls, mix, tokens, cache, prices or infrastructure?",
    ),
    _page(
        "Inform",
        "Unit economics",
        "person",
        "unit_economics",
        "What does an active user, a call or a conversion cost, and which features earn it?",
    ),
    _page(
        "Inform",
        "Infrastructure",
        "dns",
        "infrastructure",
        "Which services, accounts and resources are billed how much?",
    ),
    _page(
        "Inform",
        "Allocation",
        "account_tree",
        "allocation",
        "What does every feature cost all in, and what does no feature owe?",
    ),
    _page(
        "Inform",
        "Reconciliation",
        "balance",
        "reconciliation",
        "Does the provider's bill agree with the traces, and if not, why?",
    ),
    _page("Inform", "Waste", "recycling", "waste", "What was paid for and not needed, and what would end it?"),
    _page(
        "Optimize",
        "Model routing",
        "alt_route",
        "routing",
        "What would it save to send easy calls to a cheaper model?",
    ),
    _page(
        "Optimize",
        "Semantic cache",
        "find_replace",
        "semantic_cache",
        "What would it save to answer repeated questions from a store?",
    ),
    _page(
        "Optimize",
        "Prompt caching",
        "cached",
        "prompt_caching",
        "What do warm prompt prefixes save, and what would other lives save?",
    ),
    _page(
        "Optimize",
        "Output limits",
        "short_text",
        "output_limits",
        "What would shorter answers save, and whose answers would a limit cut?",
    ),
    _page(
        "Optimize",
        "Batch",
        "inventory_2",
        "batch",
        "Which calls can wait, and what would batches save on them?",
    ),
    _page(
        "Optimize",
        "RAG",
        "library_books",
        "rag",
        "What would fewer or smaller retrieved chunks save?",
    ),
    _page(
        "Optimize",
        "GPU right-sizing",
        "memory",
        "gpus",
        "What would the same load cost on other GPUs, scaled to it?",
    ),
    _page(
        "Optimize",
        "Own models",
        "developer_board",
        "own_models",
        "When do own models on rented GPUs cost less than a paid interface?",
    ),
    _page(
        "Optimize",
        "Spot capacity",
        "bolt",
        "spot",
        "What would capacity that can be taken away save, interruptions included?",
    ),
    _page(
        "Optimize",
        "Commitments",
        "handshake",
        "commitments",
        "How much should be committed to, and what of it would go unused?",
    ),
    _page(
        "Optimize",
        "Vector database",
        "hub",
        "vector_database",
        "What would the vector database cost on own nodes or as a service?",
    ),
    _page(
        "Optimize",
        "Switching off",
        "toggle_off",
        "switching_off",
        "What would it save to switch a feature off for a tier?",
    ),
    _page(
        "Optimize",
        "Volume",
        "trending_up",
        "volume",
        "What would more or fewer calls cost, and what would they earn?",
    ),
    _page(
        "Optimize",
        "Scenario planner",
        "stacked_bar_chart",
        "scenario_planner",
        "What would several levers save together, in which order, and how sure is that?",
    ),
    _page(
        "Optimize",
        "Saved scenarios",
        "folder_special",
        "saved_scenarios",
        "Which scenarios are saved, and how do two to four of them compare?",
    ),
    _page(
        "Optimize",
        "Plans",
        "flag",
        "plans",
        "What did adopted plans really save, lever by lever, against what was expected?",
    ),
    _page(
        "Operate",
        "Weekly review",
        "event_repeat",
        "weekly_review",
        "What happened last week, what wants a decision, and what became of earlier ones?",
    ),
    _page(
        "Operate",
        "Anomalies",
        "notifications_active",
        "anomalies",
        "What costs more or less than it should, since when, and why?",
    ),
    _page(
        "Operate",
        "Budgets",
        "savings",
        "budgets",
        "Will each budget hold until the month's end, and how sure is that?",
    ),
    _page(
        "Operate",
        "Alerts",
        "campaign",
        "alerts",
        "Who is told of what, and did it arrive?",
        needs_data=False,
    ),
    _page(
        "Operate", "Tags", "label", "tags", "How much of the cost carries the required tags, and who must add which?"
    ),
    _page(
        "Operate",
        "Rules",
        "rule",
        "rules",
        "Which rules divide shared costs and fill in missing tags, and who changed them?",
    ),
    _page(
        "Operate",
        "Prices",
        "sell",
        "prices",
        "Which prices hold, what changed, and what would the calls cost at others?",
    ),
    _page(
        "Operate",
        "Restatements",
        "history",
        "restatements",
        "Which past days are told differently than last week, and why?",
    ),
    _page(
        "Operate",
        "Data",
        "database",
        "data",
        "How fresh and complete are the data, what was rejected, and how do I add files?",
        needs_data=False,
    ),
    _page(
        "Operate",
        "Shared links",
        "share",
        "shared_links",
        "Who can see which figures by a link, until when, and were they opened?",
        role=ADMIN,
    ),
    _page("Operate", "Audit", "policy", "audit", "Who did what and when?", role=ADMIN),
)
"""All pages. The first is the one that opens at the bare address, which is its only one: Streamlit ignores its `url_path`."""

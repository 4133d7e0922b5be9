"""The ten questions in words, and how Percall answers each."""

from __future__ import annotations

TITLES = {
    "Q1": "daily cost by feature",
    "Q2": "share of cost beside share of calls, by feature",
    "Q3": "cost and distinct users by day",
    "Q4": "margin by feature and tier, infrastructure bill allocated by tokens",
    "Q5": "p50, p95, p99 latency and cost by feature and model",
    "Q6": "days above the trailing seven-day mean, by feature",
    "Q7": "dearest 100 users of a feature",
    "Q8": "inputs embedded again on a later day: wasted cost",
    "Q9": "prompt-cache replay: same prefix and model within five minutes",
    "Q10": "repricing by a dated price table with cached tokens and batch",
}

HOW = {
    "Q1": "view costs",
    "Q2": "view features",
    "Q3": "view unit-economics",
    "Q4": "Ibis on roll-ups",
    "Q5": "Ibis on calls",
    "Q6": "view anomalies",
    "Q7": "page Features, by user",
    "Q8": "Ibis on calls",
    "Q9": "Ibis on calls",
    "Q10": "Ibis on calls",
}

ON_CALLS = tuple(question for question, how in HOW.items() if how == "Ibis on calls")
"""What scans single calls, whoever asks."""

ON_PAGES = tuple(question for question in HOW if question not in ON_CALLS)
"""What pages ask of the sums that a load writes."""

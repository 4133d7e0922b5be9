"""AWS Cost Explorer: costs by day, service and usage type, for accounts without a cost and usage report. Every request costs 0.01 USD.

A month is read again for as long as AWS estimates it and for 45 days after its end, but never twice within `refresh_hours`, and never with more than
`max_requests` in one sync. A month is a piece (`connectors.live.pieces`) of at least two questions that exclude each other, and so add up:
everything but credits, refunds and taxes by service and usage type, and those by record type and service. From September 2026 on a third
one names the models of Bedrock (`connectors.aws_cost_explorer`).

An account and month that a cost and usage report or FOCUS export covers already is refused when it is loaded: one bill is told once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from connectors.live.aws_session import ACCESS, client, finding, translated
from connectors.live.pieces import months, piece_path
from connectors.live.requests import attempts
from connectors.live.source import Batch, Finding, Option, Planned, Position, Progress, SourceSettings, Window
from warehouse.errors import InputError, PercallError, SourceError

KIND = "aws-cost-explorer"
TITLE = "AWS Cost Explorer (GetCostAndUsage)"
OPTIONS: Sequence[Option] = (
    Option("months", "months back that the first sync reads; Cost Explorer keeps about 13", "13", default=13, form="integer"),
    Option("max_requests", "most requests of one sync, at 0.01 USD each", "60", default=60, form="integer"),
    Option("refresh_hours", "hours within which a month is not read again", "12", default=12, form="number"),
    Option("settled_days", "days after its end that a month is read again", "45", default=45, form="integer"),
    Option("bedrock_models", "one request more a month, which names the models of Bedrock", "true", default=True, form="boolean"),
    Option("payer_account_id", "account that pays, where it may not be looked up", '"123456789012"'),
    *ACCESS,
)  # fmt: skip

PRICE = Decimal("0.01")
"""USD per request (aws.amazon.com, AWS Cost Management pricing)."""

METRICS = ["UnblendedCost", "AmortizedCost", "UsageQuantity"]
APART = ["Credit", "Refund", "Tax"]
MODELS_SINCE = "2026-09"
"""First month for which AWS answers by product attribute (botocore 1.44, ProductAttributeValues)."""

_NEEDED = "ce:GetCostAndUsage (and organizations:DescribeOrganization, to name the account that pays)"
_PROGRESS: Progress = lambda _message, _share: None  # noqa: E731


def permissions(settings: SourceSettings) -> str:  # noqa: ARG001 - the same for every section
    """An IAM policy for the account whose costs are read; Cost Explorer itself must be switched on there once."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Costs",
                "Effect": "Allow",
                "Action": ["ce:GetCostAndUsage", "organizations:DescribeOrganization"],
                "Resource": "*",
            }
        ],
    }
    return json.dumps(policy, indent=2)


def check(settings: SourceSettings) -> Iterable[Finding]:
    """Asks whose credentials these are, and for one day's total: one request."""
    from connectors.live.syncing import now

    subject = "AWS Cost Explorer"
    try:
        payer = _Asking(settings, _PROGRESS).account()
        today = now().date()
        asking = _Asking(settings, _PROGRESS)
        answer = asking.ask(
            TimePeriod={"Start": f"{today - timedelta(days=3)}", "End": f"{today - timedelta(days=2)}"},
            Granularity="DAILY", Metrics=METRICS[:1],
        )  # fmt: skip
    except PercallError as error:
        yield finding(subject, error, _NEEDED)
        return
    periods = answer.get("ResultsByTime") or []
    what = f"answers for the account {payer}"
    if not periods:
        yield Finding(
            "warning",
            subject,
            f"{what}, but without any day",
            "switch Cost Explorer on in the account; it takes a day to fill",
        )
        return
    yield Finding("fine", subject, f"{what} (this check cost {PRICE} USD)")


def plan(settings: SourceSettings, position: Position, window: Window) -> Iterable[Planned]:
    """The months to read, the newest first; what lies on further pages is not known beforehand."""
    left = int(settings.options["max_requests"])
    for period, _start, _end, reason in _due(settings, position, window):
        questions = len(_questions(settings, period))
        if questions > left:
            return
        left -= questions
        yield Planned(
            "GetCostAndUsage by day", period, questions, None, questions * PRICE, f"{reason}; more for large accounts"
        )


def pull(
    settings: SourceSettings, position: Position, window: Window, folder: Path, progress: Progress
) -> Iterator[Batch]:
    """Month by month, the newest first. Raises SourceError (retry) before a request more than `max_requests` would be made."""
    due = list(_due(settings, position, window))
    if not due:
        return
    asking = _Asking(settings, progress)
    account = asking.account()
    if position.get("account") not in (None, account):
        # What was read is another account's: of this one no month is known yet.
        position = {}
        due = list(_due(settings, position, window))
    known: dict[str, Any] = dict(position.get("months", {})) if position.get("account") == account else {}
    for number, (period, start, end, _reason) in enumerate(due):
        progress(
            f"reading {period}: {asking.requests} requests so far, {asking.requests * PRICE} USD", number / len(due)
        )
        path = piece_path(folder, settings, period, "jsonl")
        estimated = False
        with path.open("w", encoding="utf-8") as out:
            for question in _questions(settings, period):
                for page in asking.pages(question, start, end):
                    estimated = estimated or any(one.get("Estimated") for one in page.get("ResultsByTime") or [])
                    kept = {key: page.get(key) for key in ("GroupDefinitions", "ResultsByTime")}
                    kept["GroupDefinitions"] = kept["GroupDefinitions"] or question["GroupBy"]
                    out.write(json.dumps({"AccountId": account, **kept}) + "\n")
        known = known | {period: {"read_at": window.now.isoformat(timespec="seconds"), "estimated": estimated}}
        yield Batch([path], {"account": account, "months": known}, KIND, on_overlap="pieces", what=period)


def _due(settings: SourceSettings, position: Position, window: Window) -> Iterator[tuple[str, datetime, datetime, str]]:
    """Months to read, the newest first: (2026-03, first instant, end, why)."""
    options = settings.options
    for name in ("months", "max_requests", "settled_days"):
        if int(options[name]) < 1:
            raise InputError(f"source {settings.name!r}: {name} must be at least 1")
    first = window.since or (window.now.replace(day=1) - timedelta(days=30 * (int(options["months"]) - 1))).replace(
        day=1
    )
    known: Mapping[str, Any] = position.get("months", {})
    tomorrow = datetime(window.now.year, window.now.month, window.now.day) + timedelta(days=1)
    for period, start, end in reversed(list(months(first, window.now))):
        before = known.get(period)
        until = min(end, tomorrow)
        if window.since is not None:
            yield period, start, until, f"asked for since {window.since:%Y-%m-%d}"
        elif before is None:
            yield period, start, until, "new month"
        elif window.now - datetime.fromisoformat(before["read_at"]) < timedelta(hours=float(options["refresh_hours"])):
            continue
        elif before.get("estimated"):
            yield period, start, until, "still estimated"
        elif window.now < end + timedelta(days=int(options["settled_days"])):
            yield period, start, until, f"ended less than {options['settled_days']} days ago"


def _questions(settings: SourceSettings, period: str) -> list[dict[str, Any]]:
    """What is asked for a month: filters that exclude each other, and the models of Bedrock where AWS knows them."""
    apart = {"Dimensions": {"Key": "RECORD_TYPE", "Values": APART}}
    by: Callable[..., dict[str, str]] = partial(dict, Type="DIMENSION")
    found: list[dict[str, Any]] = [
        {"Filter": {"Not": apart}, "GroupBy": [by(Key="SERVICE"), by(Key="USAGE_TYPE")]},
        {"Filter": apart, "GroupBy": [by(Key="RECORD_TYPE"), by(Key="SERVICE")]},
    ]
    if settings.options["bedrock_models"] and period >= MODELS_SINCE:
        by_model = {"Type": "PRODUCT_ATTRIBUTE", "Key": "model"}
        found.append({"Filter": {"Not": apart}, "GroupBy": [by_model, by(Key="USAGE_TYPE")]})
    return found


class _Asking:
    """Asks Cost Explorer, and counts."""

    def __init__(
        self, settings: SourceSettings, progress: Progress, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.settings, self.progress, self.pause = settings, progress, pause
        self.requests = 0
        self._client = client(settings, "ce", region="us-east-1")

    def account(self) -> str:
        """The account that pays: what the section says, else the management account of the organization, else whose credentials these are."""
        if given := self.settings.options.get("payer_account_id"):
            return str(given)
        sts, organizations = client(self.settings, "sts"), client(self.settings, "organizations", region="us-east-1")
        own = self._repeated(lambda: sts.get_caller_identity()["Account"], "asking whose credentials these are", "")
        try:
            found = self._repeated(
                lambda: organizations.describe_organization()["Organization"]["MasterAccountId"],
                "asking for the account that pays", "organizations:DescribeOrganization",
            )  # fmt: skip
        except SourceError:
            return str(own)  # no organization, or not allowed to look
        return str(found)

    def pages(self, question: Mapping[str, Any], start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
        """Every page of an answer, by day. An attribute that AWS does not know for the time leaves no page."""
        token: dict[str, str] = {}
        while True:
            try:
                page = self.ask(
                    TimePeriod={"Start": f"{start:%Y-%m-%d}", "End": f"{end:%Y-%m-%d}"}, Granularity="DAILY", Metrics=METRICS, **question, **token
                )  # fmt: skip
            except SourceError as error:
                if "DataUnavailableException" in str(error) and question["GroupBy"][0]["Type"] == "PRODUCT_ATTRIBUTE":
                    return
                raise
            yield page
            if not page.get("NextPageToken"):
                return
            token = {"NextPageToken": page["NextPageToken"]}

    def ask(self, **request: Any) -> dict[str, Any]:
        """One answer. Raises SourceError, also instead of a request more than allowed."""

        def once() -> dict[str, Any]:
            most = int(self.settings.options["max_requests"])
            if self.requests >= most:
                raise SourceError(
                    f"{self.settings.name}: {most} requests ({most * PRICE} USD) are made, the limit of one sync (max_requests); the months that "
                    "were read whole are stored, the next sync goes on",
                    retry=True,
                )
            self.requests += 1
            return dict(self._client.get_cost_and_usage(**request))

        return dict(self._repeated(once, "reading costs", _NEEDED))

    def _repeated(self, ask: Callable[[], Any], doing: str, needed: str) -> Any:
        def guarded() -> Any:
            with translated(self.settings, doing, needed):
                return ask()

        return attempts(
            guarded, f"{self.settings.name}: {doing}", self.progress, self.settings.patience, pause=self.pause
        )

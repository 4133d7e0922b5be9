"""The demo company's people, revenue and GPUs."""

from __future__ import annotations

from decimal import Decimal

from tests.connectors.demo_company.company import one, rows


def test_daily_users(any_demo):
    days = rows(
        any_demo,
        """SELECT strftime(date, '%Y-%m'), sum(active_users) / count(DISTINCT date), count(*) = count(DISTINCT (date, user_id))
        FROM activity GROUP BY ALL ORDER BY 1""",
    )
    assert days == [("2026-03", 500.0, True), ("2026-04", 560.0, True), ("2026-05", 620.0, True)]
    weekend = one(
        any_demo,
        """SELECT count(*) FILTER (isodow(date) > 5) / count(DISTINCT date) FILTER (isodow(date) > 5)
            / (count(*) FILTER (isodow(date) < 6) / count(DISTINCT date) FILTER (isodow(date) < 6)) FROM activity""",
    )[0]
    assert 0.55 < weekend < 0.7
    strangers = one(
        any_demo,
        """SELECT count(*) FROM (SELECT DISTINCT started_at::DATE AS date, user_id, user_tier FROM calls WHERE user_id IS NOT NULL)
            ANTI JOIN activity USING (date, user_id, user_tier)""",
    )
    assert strangers == (0,)


def test_a_loss_in_march_a_profit_in_may(any_demo):
    earned = dict(rows(any_demo, "SELECT strftime(date, '%Y-%m'), sum(amount) FROM revenue GROUP BY ALL"))
    assert earned["2026-03"] < Decimal("47231.00")
    assert earned["2026-05"] > Decimal("9200.00")
    assert one(any_demo, "SELECT count(revenue) FROM calls") == (0,)


def test_conversions_are_those_of_the_calls(any_demo):
    by_calls = rows(
        any_demo,
        """SELECT started_at::DATE, feature, user_tier, count(*) FILTER (converted) AS n FROM calls WHERE converted IS NOT NULL
        GROUP BY ALL HAVING n > 0 ORDER BY ALL""",
    )
    by_revenue = rows(
        any_demo, "SELECT date, feature, user_tier, conversions FROM revenue WHERE conversions > 0 ORDER BY ALL"
    )
    assert by_calls == by_revenue
    rate = one(any_demo, "SELECT count(*) FILTER (converted) / count(converted) FROM calls WHERE feature = 'search'")[0]
    assert abs(rate - 0.024) < 0.002


def test_gpus_idle_and_billed(any_demo):
    idle = one(
        any_demo, "SELECT 1 - avg(gpu_utilization) FROM utilization WHERE gpu = 'A100-40GB' AND hour < '2026-04-01'"
    )[0]
    assert abs(idle - 0.6) < 0.001
    odd = one(
        any_demo,
        "SELECT count(*) FROM utilization WHERE gpu_utilization NOT BETWEEN 0 AND 1 OR memory_used NOT BETWEEN 0 AND 1",
    )
    assert odd == (0,)
    apart = one(
        any_demo,
        """SELECT count(*) FROM (SELECT ChargePeriodStart AS hour, ResourceId AS resource FROM bill WHERE category = 'GPU inference')
            FULL JOIN utilization USING (hour, resource) WHERE source IS NULL OR hour IS NULL""",
    )
    assert apart == (0,)
    empty_hours = one(
        any_demo,
        "SELECT 31 * 24 - count(DISTINCT hour) FROM utilization WHERE hour >= '2026-05-01' AND resource = 'gpu-l4-3'",
    )[0]
    assert empty_hours > 100
